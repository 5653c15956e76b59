//! Sends on what the outbox holds: messages as e-mail, and warnings to subscribers.
//!
//! Start with [`outbox`], which puts everything together. [`email`] and [`warning`] make mails out of values and are pure, as are
//! [`backoff`] and [`breaker`]; [`smtp`] hands a mail to the relay, [`eml`] writes it to a file when there is none.
//!
//! What is promised: every mail is sent at least once, with the same Message-ID each time, so that a receiver can tell a
//! repetition. A message's three days begin when the relay has said 250, never before and never without a relay.

mod address;
pub mod backoff;
pub mod breaker;
pub mod email;
pub mod eml;
mod header;
pub mod mwi;
pub mod outbox;
pub mod sendings;
pub mod smtp;
mod stream;
mod text;
pub mod warning;

use std::{path::PathBuf, time::Duration};

pub use address::{AddressError, Sender};
pub use outbox::run;
pub use smtp::{Relay, RelayError};

/// How mails leave.
#[derive(Clone, Debug)]
pub struct MailSettings {
    /// The mail server that takes them; without one they become files in `mail_dir`.
    pub relay: Option<Relay>,
    /// Whom they are from.
    pub from: Sender,
    /// How long the relay may take over one step; content and verdict may take four times as long, a whole delivery six times.
    pub timeout: Duration,
    /// How many are delivered at once.
    pub parallel: usize,
    /// Whether recordings of 16,000 samples a second stay so.
    pub wideband: bool,
    /// Where mails are written when there is no relay.
    pub mail_dir: PathBuf,
}

/// A mail ready to be sent.
#[derive(Clone, Debug)]
pub struct ComposedMail {
    /// Without angle brackets; the same for every attempt.
    pub message_id: String,
    /// The envelope's sender.
    pub from: lettre::Address,
    /// The envelope's recipient.
    pub to: lettre::Address,
    /// Header and body: CR LF, lines within RFC 5322's limits, ASCII (but for an address that is not).
    pub bytes: Vec<u8>,
}
