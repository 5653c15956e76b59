//! Registrations: what a REGISTER of a line does (RFC 3261 §10.3, RFC 3327).

use rsip::Header;
use tracing::debug;

use super::{Lines, contact::Contact, unavailable};
use crate::{
    sip::{
        registrar::{self, Wanted},
        request::{OutsideRequest, Reply},
        wire::HeaderViews as _,
    },
    store::{
        StoreError,
        line::Line,
        registration::{ContactChange, NewContact, Registration, RegistrationChange, RegistrationError},
    },
};

/// A phone of a line has registered, or refreshed its registration.
#[derive(Clone, Debug)]
pub struct Registered {
    /// Whose phone.
    pub line: Line,
    /// The contacts that it is reached at.
    pub contacts: Vec<Contact>,
}

impl Lines {
    /// Does what a REGISTER of a line wants, and answers it.
    pub(super) async fn register(&self, request: &OutsideRequest, line: &Line) -> Reply {
        match self.is_own_address(request, line).await {
            Ok(true) => {}
            Ok(false) => return Reply::status(403),
            Err(error) => return unavailable(&error),
        }
        let (wanted, change) = match self.change(request) {
            Ok(read) => read,
            Err(refusal) => return refusal,
        };
        let now = (self.now)();
        match self.store.register(&line.mailbox, &change, now).await {
            Ok(registrations) => {
                self.tell(line, &wanted, &registrations);
                let left = |it: &Registration| registrar::contact(&it.contact, it.expires_at - now, it.preference);
                let mut headers: Vec<Header> = registrations.iter().map(left).collect();
                headers
                    .extend(request.request.headers.values("Path").map(|path| Header::Other("Path".to_owned(), path.to_owned())));
                headers.push(Header::Supported("path".into()));
                headers.push(Header::Date(now.to_utc().format("%a, %d %b %Y %H:%M:%S GMT").to_string().into()));
                Reply { headers, ..Reply::status(200) }
            }
            Err(RegistrationError::OutOfOrder) => Reply::status(500),
            Err(RegistrationError::TooMany | RegistrationError::Gone) => Reply::status(403),
            Err(RegistrationError::Store(error)) => unavailable(&error),
        }
    }

    /// Whether the address that is to be registered is the line's: its mailbox's number or an alias.
    async fn is_own_address(&self, request: &OutsideRequest, line: &Line) -> Result<bool, StoreError> {
        let number = request.request.headers.to_address().ok().and_then(|to| to.uri.user_text()).unwrap_or_default();
        if number == line.number.as_str() {
            return Ok(true);
        }
        let mailbox = self.store.find_mailbox(&line.tenant, &number).await?;
        Ok(mailbox.is_some_and(|mailbox| mailbox.id == line.mailbox))
    }

    fn change(&self, request: &OutsideRequest) -> Result<(Wanted, RegistrationChange), Reply> {
        let headers = &request.request.headers;
        let wanted = registrar::read(headers, self.lives)?;
        let path = registrar::path(headers)?;
        let (Ok(call_id), Ok(sequence)) = (headers.call_id(), headers.cseq()) else { return Err(Reply::status(400)) };
        // PostgreSQL does not keep it.
        if call_id.contains('\0') || path.iter().any(|proxy| proxy.contains('\0')) {
            return Err(Reply::status(400));
        }
        let contacts = match &wanted {
            Wanted::RemoveAll => ContactChange::RemoveAll,
            Wanted::Contacts(contacts) => {
                let new = contacts.iter().map(|contact| NewContact {
                    key: contact.key(),
                    contact: contact.uri.to_string(),
                    preference: contact.preference,
                    expires_at: Some((self.now)().after(contact.life)).filter(|_| !contact.life.is_zero()),
                });
                ContactChange::Each(new.collect())
            }
        };
        let change = RegistrationChange {
            call_id: call_id.to_owned(),
            sequence: sequence.number,
            contacts,
            way: self.way(request, !path.is_empty()),
            path,
            user_agent: headers.user_agent().map(|agent| agent.chars().take(LONGEST_USER_AGENT).collect()),
        };
        Ok((wanted, change))
    }

    /// Tells those who want to know which phones have come.
    fn tell(&self, line: &Line, wanted: &Wanted, registrations: &[Registration]) {
        let come: Vec<String> = match wanted {
            Wanted::RemoveAll => Vec::new(),
            Wanted::Contacts(contacts) => contacts.iter().filter(|it| !it.life.is_zero()).map(|it| it.uri.to_string()).collect(),
        };
        debug!(mailbox.id = %line.mailbox, contacts = registrations.len(), "a line's registrations are known");
        let of_them = registrations.iter().filter(|registration| come.contains(&registration.contact));
        let contacts: Vec<Contact> = of_them.filter_map(|registration| self.contact(registration)).collect();
        if !contacts.is_empty() {
            // Nobody may want to know.
            let _ = self.registered.send(Registered { line: line.clone(), contacts });
        }
    }
}

/// As much of a User-Agent is kept.
const LONGEST_USER_AGENT: usize = 200;
