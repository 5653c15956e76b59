//! Values and rules of a voicemail service: what a mailbox, a message, a caller and a passcode are, and every number
//! of the service in [`rules`].
//!
//! No I/O and no clock: a moment comes in as a [`Timestamp`](time::Timestamp). Start with [`rules`].

// Tests may take their first moment from the clock.
#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

pub mod access;
pub mod caller;
pub mod credential;
pub mod destination;
pub mod dialling;
pub mod distribution;
pub mod flooding;
pub mod forward;
pub mod greeting;
pub mod id;
pub mod keys;
pub mod language;
pub mod listening;
pub mod mailbox;
pub mod mailbox_log;
pub mod message;
pub mod passcode;
pub mod preferences;
pub mod rules;
pub mod screening;
pub mod sending;
pub mod tenant;
pub mod tenant_phrase;
pub mod sharing;
pub mod time;
