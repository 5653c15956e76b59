//! A call that takes the place of another (RFC 3891), as when whoever called a mailbox transfers somebody to it.

use super::*;
use crate::sip::wire::Replaces;

impl Uas {
    /// The call that an INVITE means to replace; none if it means none. An error is the status owed.
    ///
    /// Only who the call is with may name it: a dialog of another address is as unknown as one that never was.
    pub(super) fn replaced(&self, inbound: &Inbound) -> Result<Option<CallRef>, Refused> {
        let Some(replaces) = Replaces::of(&inbound.request.headers).map_err(|problem| Refused::Malformed(problem.into()))? else {
            return Ok(None);
        };
        let place = read_tag(&replaces.to_tag).and_then(|tag| self.dialogs.get(&tag));
        let Some(Place::Call(reference)) = place else { return Err(Refused::Status(481)) };
        let call = self.calls.get(reference).filter(|call| {
            let is_named = call.dialog.call_id == replaces.call_id && call.dialog.remote_tag == replaces.from_tag;
            is_named && call.source == inbound.flow.remote.ip()
        });
        match call.map(|call| &call.phase) {
            // A call that rings is not ours to pick up: it rings here (§3).
            None | Some(Phase::Early) => Err(Refused::Status(481)),
            Some(Phase::Talking) if replaces.early_only => Err(Refused::Status(486)),
            Some(Phase::Talking) => Ok(Some(*reference)),
            Some(Phase::Leaving { .. }) => Err(Refused::Status(603)),
        }
    }
}

/// Why an INVITE with `Replaces` is no call.
#[derive(Debug)]
pub(super) enum Refused {
    Malformed(Refusal),
    Status(u16),
}
