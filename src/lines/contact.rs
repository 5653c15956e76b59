//! How a registered phone is reached: what the store keeps as text, as requests of ours need it.

use std::net::SocketAddr;

use super::Lines;
use crate::{
    domain::id::MailboxId,
    sip::{
        flow::{ConnectionId, Flow, Proof, Transport},
        request::OutsideRequest,
        wire::{HeaderViews as _, NameAddr, SipUri},
    },
    store::{
        StoreError,
        registration::{Registration, Way},
    },
};

/// A registered phone, as a request to it needs to know it.
#[derive(Clone, PartialEq, Eq)]
pub struct Contact {
    /// The Request-URI.
    pub target: SipUri,
    /// The proxies on the way, nearest first.
    pub routes: Vec<NameAddr>,
    /// The way its REGISTER came; the connection only if it is one of this run of the server.
    pub flow: Flow,
    /// Whether the phone itself is at the other end of the flow, whatever it says its address is (NAT).
    pub is_direct: bool,
}

/// Logs must not carry numbers.
impl std::fmt::Debug for Contact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contact").field("flow", &self.flow).field("is_direct", &self.is_direct).finish_non_exhaustive()
    }
}

impl Lines {
    /// The phones of a mailbox's line, the preferred ones first.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the store cannot say.
    pub async fn contacts(&self, mailbox: &MailboxId) -> Result<Vec<Contact>, StoreError> {
        let registrations = self.store.registrations(mailbox, (self.now)()).await?;
        Ok(registrations.iter().filter_map(|registration| self.contact(registration)).collect())
    }

    /// None when it was kept by another version that wrote differently.
    pub(super) fn contact(&self, registration: &Registration) -> Option<Contact> {
        let way = &registration.way;
        let connection = way.connection.as_deref().and_then(|text| text.split_once(' '));
        let connection = connection.filter(|(run, _)| *run == self.run).and_then(|(_, id)| id.parse().ok().map(ConnectionId));
        Some(Contact {
            target: SipUri::parse(&registration.contact).ok()?,
            routes: registration.path.iter().map(|proxy| NameAddr::parse(proxy)).collect::<Result<_, _>>().ok()?,
            flow: Flow {
                transport: Transport::from_text(&way.transport)?,
                local: way.local.parse::<SocketAddr>().ok()?,
                remote: way.remote.parse::<SocketAddr>().ok()?,
                connection,
                proof: Proof::Nothing,
            },
            is_direct: way.is_direct,
        })
    }

    /// The way a request came, for the store.
    pub(super) fn way(&self, request: &OutsideRequest, has_path: bool) -> Way {
        let flow = &request.flow;
        let vias = request.request.headers.vias().unwrap_or_default();
        let answers_there = flow.transport.is_reliable() || vias.first().is_some_and(|via| via.wants_rport());
        Way {
            transport: flow.transport.to_string(),
            remote: flow.remote.to_string(),
            local: flow.local.to_string(),
            connection: flow.connection.map(|ConnectionId(id)| format!("{} {id}", self.run)),
            is_direct: vias.len() == 1 && !has_path && answers_there,
        }
    }
}
