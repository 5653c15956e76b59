//! Bytes to validated SIP messages on `rsip`'s types and back, and the framing of messages on a TCP stream.
//!
//! Here: what RFC 3261 §7, §18.3, §20 and §25 say about text. Not here: transactions, dialogs, clocks, sockets. `rsip` gives
//! the types only; its own parser and printer are never called.
//!
//! Start with [`parse`], then [`validate`], then [`HeaderViews`]; the way out is [`response_to`] and [`write_response`].
//!
//! Header values are kept as they were received (unfolded and trimmed), also when they are not UTF-8, so that what must be
//! echoed is echoed exactly; the views read them when they are asked. `Content-Length` is framing and does not appear
//! among the parsed headers: the body's length is the truth, and the serialiser writes it.

mod address;
mod alias;
mod authorization;
mod body;
mod header;
mod parse;
#[cfg(test)]
mod properties;
mod reason;
mod refer;
mod reliable;
mod remote_party;
mod replaces;
mod session_timer;
mod stream;
mod text;
#[cfg(test)]
mod torture;
mod upgrade;
mod uri;
mod validate;
mod via;
mod view;
mod write;

pub use address::{Diversion, HistoryEntry, NameAddr, Params};
pub use alias::alias_port;
pub use authorization::{DigestAlgorithm, DigestChallenge, DigestCredentials, bytes_of_hex, hex};
pub use body::{MediaType, body_of_type};
pub use parse::{Message, Rejected, parse};
pub use reason::Reason;
pub use refer::{NoReferNews, ReferNews};
pub use reliable::{RAck, reliable_number};
pub use remote_party::RemoteParty;
pub use replaces::Replaces;
pub use session_timer::{Refresher, SessionExpires, min_session_expires};
pub use stream::{Frame, FramingError, StreamFramer};
pub use text::{Malformed, percent_decode, readable};
pub use upgrade::{LONGEST_UPGRADE, UpgradeRefusal, answer_upgrade};
pub use uri::{Host, Scheme, SipUri};
pub use validate::{Capabilities, Refusal, validate, validate_response};
pub use via::{Via, note_source};
pub use view::{CSeq, HeaderError, HeaderViews};
pub use write::{reason_phrase, response_to, set_to_tag, write_request, write_response};

/// Largest message we take, start-line to the last byte of the body: what UDP can carry, and as much on TCP.
pub const MAX_MESSAGE: usize = 64 * 1024;

/// Most header lines in a message; real calls through several carriers have 20 to 60.
pub const MAX_HEADERS: usize = 256;
