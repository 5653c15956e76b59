//! Callers whom a mailbox does not accept.

/// Why a mailbox does not accept a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedCaller {
    /// The caller's number is blocked.
    Blocked,
    /// The caller shows no number, and such callers are refused.
    Anonymous,
}
