//! RTP and RTCP (RFC 3550) and telephone-event (RFC 4733), as pure values: bytes and the time come in, decisions come out.
//!
//! Start with [`packet`]. [`timeline`] turns the packets of a talker into a gapless recording, [`telephone_event`] turns
//! its events into key presses, [`latch`] decides whom to believe, [`reception`] and [`rtcp`] write the reports, [`srtp`]
//! encrypts and decrypts.
//! Sockets and threads are in `media`.
//!
//! Moments are a [`Duration`](std::time::Duration) since any fixed start of the caller's choosing: nobody here looks at
//! a clock.

// Tests may take their first moment from the clock.
#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

pub mod latch;
pub mod packet;
pub mod reception;
pub mod rtcp;
pub mod secure;
pub mod srtp;
pub mod telephone_event;
pub mod timeline;

pub use latch::{Latch, Verdict};
pub use packet::{HEADER_LENGTH, Packet};
pub use secure::Security;
pub use telephone_event::{KeyReceiver, KeySender};
pub use timeline::{Extent, Run, Timeline};
