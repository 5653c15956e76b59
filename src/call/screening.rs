//! Whether a call is taken at all: access lists, callers whom a mailbox refuses, and callers who call too often.
//!
//! Nothing that is answered here tells a number that has a mailbox from one that has none: whoever is kept out by a mailbox's own list
//! hears what is heard at an unknown number, and whoever is kept out everywhere is refused everywhere.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use tokio::sync::watch;

use super::{explain::Decision, several::Standing};
use crate::{
    domain::{
        access::{AccessPolicy, Purpose, Scope},
        caller::Caller,
        flooding::{CallerCounts, CallerLimits},
        mailbox::Mailbox,
    },
    ivr::{Entry, Rejection, ScreeningWish},
    store::{Store, StoreError, record},
};

/// What decides whether calls are taken.
pub struct Screening {
    access: watch::Receiver<Arc<AccessPolicy>>,
    counts: Mutex<CallerCounts>,
}

/// What subscribers dial to have something done about callers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScreeningCodes {
    /// To block the last caller.
    pub block_last_caller: Vec<String>,
    /// To refuse callers who show no number, or to accept them again.
    pub switch_anonymous: Vec<String>,
}

impl ScreeningCodes {
    /// What is wished by dialling a number, if anything is.
    #[must_use]
    pub fn wish(&self, dialled: &str) -> Option<ScreeningWish> {
        let is_one_of = |codes: &[String]| codes.iter().any(|code| code == dialled);
        if is_one_of(&self.block_last_caller) {
            return Some(ScreeningWish::BlockLastCaller);
        }
        is_one_of(&self.switch_anonymous).then_some(ScreeningWish::SwitchAnonymous)
    }
}

/// A call as it is screened.
#[derive(Clone, Copy)]
pub struct Screened<'a> {
    /// The address that it came from.
    pub source: IpAddr,
    /// The domain that it was sent to.
    pub domain: &'a str,
    /// Whether whoever calls is who it seems to be: a trusted peer's word, or a line's password.
    pub believed: bool,
    /// What is to be done about callers, if that was dialled.
    pub wish: Option<ScreeningWish>,
}

impl Screening {
    /// Screens by the access lists that `access` shows, and by these limits.
    #[must_use]
    pub fn new(access: watch::Receiver<Arc<AccessPolicy>>, limits: CallerLimits) -> Self {
        Self { access, counts: Mutex::new(CallerCounts::new(limits)) }
    }

    /// Lets everybody in.
    #[must_use]
    pub fn open() -> Self {
        Self::new(watch::channel(Arc::default()).1, CallerLimits { per_minute: 0, per_hour: 0 })
    }

    /// Whether the lists let calls from an address reach a mailbox.
    #[must_use]
    pub fn admits(&self, mailbox: &Mailbox, source: IpAddr) -> bool {
        self.access.borrow().admits(Purpose::Call, &mailbox.tenant, Some(&mailbox.id), source)
    }

    /// Lets nothing come of a call that is not to be taken, and says why.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn screen(&self, store: &Store, call: Screened<'_>, decision: &mut Decision) -> Result<(), StoreError> {
        if decision.opening.is_err() {
            return Ok(());
        }
        if decision.several.is_some() {
            return self.screen_several(store, call, decision).await;
        }
        let mailbox = decision.mailbox.as_ref().filter(|mailbox| mailbox.enabled);
        let is_admitted = mailbox.is_some_and(|mailbox| self.admits(mailbox, call.source));
        if !is_admitted && !self.admits_to_none(call) {
            turn_away(decision, Err(403), NOT_ON_THE_LIST);
            return Ok(());
        }
        match (&decision.opening, mailbox) {
            (Ok(Entry::Deposit { .. }), Some(_)) if !is_admitted => turn_away(decision, Ok(Entry::Unavailable), NOT_ON_THE_LIST),
            (Ok(Entry::Deposit { .. }), Some(mailbox)) => {
                if let Some(rejection) = self.rejects(store, mailbox, call, &decision.identity.caller).await? {
                    turn_away(decision, Ok(Entry::Rejected(rejection)), why(rejection));
                }
            }
            (Ok(Entry::Retrieval { mailbox: view }), _) => {
                // The view says what its subscriber may do, such as calling back.
                let mailbox = view.clone().filter(|_| is_admitted);
                decision.opening = Ok(match call.wish {
                    Some(wish) => Entry::Screening { mailbox, wish },
                    None => Entry::Retrieval { mailbox },
                });
            }
            _ => {}
        }
        Ok(())
    }

    /// Asks each of several mailboxes; what becomes of the call is decided by [`several::open`](super::several::open).
    async fn screen_several(&self, store: &Store, call: Screened<'_>, decision: &mut Decision) -> Result<(), StoreError> {
        let mut is_admitted = false;
        let members = decision.several.iter_mut().flat_map(|several| &mut several.members);
        for member in members.filter(|member| member.mailbox.enabled) {
            if !self.admits(&member.mailbox, call.source) {
                member.standing = Standing::NotListed;
                continue;
            }
            is_admitted = true;
            if let Some(rejection) = self.rejects(store, &member.mailbox, call, &decision.identity.caller).await? {
                member.standing = Standing::Rejects(rejection);
            }
        }
        if !is_admitted && !self.admits_to_none(call) {
            turn_away(decision, Err(403), NOT_ON_THE_LIST);
        }
        Ok(())
    }

    /// Whether the lists let a call come that finds no mailbox: by those for numbers without one.
    fn admits_to_none(&self, call: Screened<'_>) -> bool {
        let policy = self.access.borrow();
        let is_tenant = policy.of(&Scope::Tenant(call.domain.to_owned()), Purpose::Call).is_some();
        policy.admits(Purpose::Call, if is_tenant { call.domain } else { "" }, None, call.source)
    }

    async fn rejects(
        &self,
        store: &Store,
        mailbox: &Mailbox,
        call: Screened<'_>,
        caller: &Caller,
    ) -> Result<Option<Rejection>, StoreError> {
        if let Some(refused) = store.refuses_caller(&mailbox.id, caller.number.as_deref()).await? {
            return Ok(Some(refused.into()));
        }
        let who = super::guesser(caller, call.believed, call.source);
        let has_room = self.counts.lock().unwrap_or_else(PoisonError::into_inner).admits(&mailbox.id, &who, Instant::now());
        Ok((!has_room).then_some(Rejection::TooOften))
    }
}

/// Why calls from addresses that are on no list are not taken.
pub(super) const NOT_ON_THE_LIST: &str = "not on the access list";

/// Why a mailbox refuses a caller, in words.
pub(super) const fn why(rejection: Rejection) -> &'static str {
    match rejection {
        Rejection::Blocked => "the subscriber blocks this caller",
        Rejection::Anonymous => "the subscriber refuses callers who show no number",
        Rejection::TooOften => "the caller calls this mailbox too often",
    }
}

pub(super) fn turn_away(decision: &mut Decision, opening: Result<Entry, u16>, why: &'static str) {
    let reasoning = &mut decision.reasoning;
    reasoning.why = Some(why);
    reasoning.refused = opening.as_ref().err().copied();
    reasoning.hears =
        opening.as_ref().ok().map(|entry| if matches!(entry, Entry::Rejected(_)) { "rejected" } else { "unavailable" });
    if opening.is_ok() {
        reasoning.purpose = record::Purpose::Unavailable;
    }
    decision.opening = opening;
    decision.turned_away = Some(why);
}
