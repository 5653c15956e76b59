//! RFC 3261 as a user agent server.

pub mod event;
pub mod handle;
pub mod flow;
pub mod timer;
pub mod transaction;
pub mod wire;
