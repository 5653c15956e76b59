//! Who is let in without credentials, and the challenge that everybody else gets.

use std::{fmt, sync::Arc};

use rsip::{Method, Request};

use super::{auth::Authenticator, flow::Flow};

/// What a request needs to be acted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing: it comes from a trusted peer, or anybody may do this.
    Nothing,
    /// Digest credentials of a line.
    Credentials,
}

/// Says what a request on a path needs.
pub type NeedOf = dyn Fn(&Request, &Flow) -> Need + Send + Sync;

/// Decides what requests need that belong to no call. It knows addresses, certificates, methods and what was dialled, but no
/// subscriber: so nobody learns from it who is one.
#[derive(Clone)]
pub struct Policy {
    /// Makes the challenges.
    pub authenticator: Arc<Authenticator>,
    /// What a request on this path needs. Asked for each one: it must not wait.
    pub need: Arc<NeedOf>,
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy").field("authenticator", &self.authenticator).finish_non_exhaustive()
    }
}

/// Whether a method does something by itself, outside a call: others mean a call that there is, or do not exist for us.
pub(super) fn acts(method: Method) -> bool {
    matches!(method, Method::Invite | Method::Options | Method::Register | Method::Subscribe)
}
