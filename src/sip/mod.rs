//! RFC 3261 as a user agent server: bytes become calls, and what is decided about calls becomes bytes.
//!
//! Start with [`event`], the words between this folder and whoever leads a call; then [`uas`], which holds all calls and
//! neither waits nor looks at a clock; then [`transport`], the sockets around it. [`wire`] reads and writes messages.
//! Not here: what a caller hears ([`crate::call`]), and what an SDP body means ([`crate::sdp`]).

// Tests may take their first moment from the clock.
#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

pub mod event;
pub mod uas;
pub mod gate;
pub mod uac;
pub mod request;
pub mod auth;
pub mod policy;
pub mod registrar;
mod inbound;
pub mod mwi;
pub mod outgoing;
pub mod peer;
pub mod refer;
mod dialog;
pub mod transaction;
mod reliable;
pub mod session_timer;
pub mod timer;
mod room;
pub mod flow;
#[expect(clippy::disallowed_methods, reason = "it waits for sockets")]
pub mod transport;
#[expect(clippy::disallowed_methods, reason = "it waits for sockets")]
mod connection;
mod certificate;
mod introduction;
#[expect(clippy::disallowed_methods, reason = "it reads certificates and waits for handshakes")]
mod tls;
#[expect(clippy::disallowed_methods, reason = "it waits for sockets")]
mod websocket;
pub mod resolve;
mod outages;
#[expect(clippy::disallowed_methods, reason = "it waits for the DNS")]
mod resolver;
pub mod handle;
#[expect(clippy::disallowed_methods, reason = "it waits for sockets")]
pub mod user_agent;
pub mod wire;
#[cfg(test)]
mod lossy;
