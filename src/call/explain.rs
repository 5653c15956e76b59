//! What is to be done with a call that comes in, with the whole reasoning: for the call itself, for its record, and for
//! `afterbeep explain`.

use serde::Serialize;

use super::{
    route::{self, Dialled, Identity, Reason, Route},
    several::{self, Several, Told},
    transfer::{self, Transfers},
};
use crate::{
    domain::{
        caller::Caller,
        dialling::DialRule,
        forward::Forward,
        greeting::{self, GreetingKind},
        mailbox::{Mailbox, MailboxNumber},
        rules,
        tenant_phrase::TenantPhrase,
        time::Timestamp,
    },
    ivr::{Entry, MailboxView},
    sip::event::IncomingCall,
    store::{
        Store, StoreError,
        line::Line,
        record::{Belief, Purpose},
    },
};

/// An INVITE and what it is judged by.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    /// The INVITE.
    pub invite: &'a IncomingCall,
    /// Whether its source is a trusted peer.
    pub trusted: bool,
    /// The line of ours that it comes from, by its password.
    pub line: Option<&'a Line>,
    /// What subscribers dial to listen to their messages.
    pub access_codes: &'a [String],
    /// Who may be handed on.
    pub transfers: &'a Transfers,
    /// What they dial before a mailbox's number to leave a message there at once.
    pub direct_prefixes: &'a [String],
    /// How its source writes numbers.
    pub rule: Option<&'a DialRule>,
    /// Now.
    pub now: Timestamp,
}

impl Case<'_> {
    /// Whether the source is a trusted peer, and the call no line's of ours.
    pub(super) fn is_of_trusted_peer(&self) -> bool {
        self.trusted && self.line.is_none()
    }
}

/// What is to be done with a call.
pub struct Decision {
    /// What the menus begin with, or the status the call is refused with.
    pub opening: Result<Entry, u16>,
    /// Why it is not taken by the mailbox that it is for, or by any, if it is not.
    pub turned_away: Option<&'static str>,
    /// The mailbox it is for; of several, the first that takes it.
    pub mailbox: Option<Mailbox>,
    /// The mailboxes it is for, if it is for several, until [`several::open`] has decided which of them take it.
    pub several: Option<Several>,
    /// Who calls.
    pub identity: Identity,
    /// The domain in which an access code was dialled; empty for other calls.
    pub domain: String,
    /// How it came to this.
    pub reasoning: Reasoning,
}

/// Why a call is for a mailbox, step by step; as JSON in the record of the call.
#[derive(Clone, Serialize)]
pub struct Reasoning {
    /// Whether the source is a trusted peer, whose headers are believed.
    pub trusted: bool,
    /// The header that names the caller.
    pub caller_from: &'static str,
    /// What the call is for.
    pub purpose: Purpose,
    /// Who was considered, in order of belief.
    pub candidates: Vec<Considered>,
    /// The distribution list whose number was dialled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list: Option<String>,
    /// All mailboxes that the call is for, if it is for several, and whether each takes it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub several: Vec<Told>,
    /// The header that decided, when a mailbox was found.
    pub header: Option<Reason>,
    /// The rule that decided, in words.
    pub rule: Option<&'static str>,
    /// Why the call was forwarded, if somebody told.
    pub forwarded: Option<Forward>,
    /// What state the mailbox is in: `open`, `full`, `disabled`, `none`.
    pub state: &'static str,
    /// What the caller hears first: `temporary`, `greeting`, `name`, `list`, `tenant`, `number`, `full`, `unavailable`, `rejected`, `login`; none when refused.
    pub hears: Option<&'static str>,
    /// The reason for which the greeting was chosen, if there is one for it.
    pub greeting: Option<Forward>,
    /// The status that the call is refused with.
    pub refused: Option<u16>,
    /// Why it is refused or not taken, in words.
    pub why: Option<&'static str>,
}

/// One party that a call may be for.
#[derive(Clone, Serialize)]
pub struct Considered {
    /// What names it.
    pub header: Reason,
    /// By which rule, in words.
    pub rule: &'static str,
    /// The number as it was dialled.
    pub number: String,
    /// The domain it was dialled in.
    pub domain: String,
    /// The ways of writing the number that were looked for, in order.
    pub looked_for: Vec<String>,
    /// The number of the mailbox that was found; of several, the first.
    pub mailbox: Option<String>,
}

/// Decides about a call.
///
/// # Errors
///
/// [`StoreError`] when the store cannot say which mailboxes there are.
pub async fn decide(store: &Store, case: Case<'_>) -> Result<Decision, StoreError> {
    let mut identity = route::identify(case.invite, case.trusted, case.rule);
    if let Some(line) = case.line.filter(|_| identity.believed != Belief::Withheld) {
        identity = Identity { caller: caller_on(line), believed: Belief::Line, is_verified: true, header: "Authorization" };
    }
    let mut decision = Decision {
        opening: Ok(Entry::Unavailable),
        turned_away: None,
        mailbox: None,
        several: None,
        domain: String::new(),
        reasoning: Reasoning {
            trusted: case.trusted,
            caller_from: identity.header,
            purpose: Purpose::Unavailable,
            candidates: Vec::new(),
            list: None,
            several: Vec::new(),
            header: None,
            rule: None,
            forwarded: None,
            state: "none",
            hears: Some("unavailable"),
            greeting: None,
            refused: None,
            why: None,
        },
        identity,
    };
    match route::route(case.invite, case.trusted, case.access_codes) {
        Route::Loop { status, why } => {
            decision.opening = Err(status);
            let reasoning = &mut decision.reasoning;
            (reasoning.purpose, reasoning.hears) = (Purpose::Call, None);
            (reasoning.refused, reasoning.why) = (Some(status), Some(why));
        }
        Route::Retrieval { own_line, domain } => {
            let own_line = case.line.map(line_of).or(own_line);
            if let Some(line) = own_line {
                decision.mailbox = find(store, &line, case.rule).await?.filter(|mailbox| mailbox.enabled);
            }
            let view = match &decision.mailbox {
                Some(mailbox) => {
                    Some(transfer::subscribers_view(case.transfers, store, mailbox, case.is_of_trusted_peer()).await?)
                }
                None => None,
            };
            decision.opening = Ok(Entry::Retrieval { mailbox: view });
            decision.domain = domain;
            let reasoning = &mut decision.reasoning;
            (reasoning.purpose, reasoning.hears) = (Purpose::Retrieval, Some("login"));
            reasoning.header = Some(Reason::RequestUri);
            reasoning.rule = Some(match decision.mailbox {
                Some(_) if case.line.is_some() => "an access code from the mailbox's own line, by its password",
                Some(_) => "an access code from the mailbox's own line, which a trusted peer asserts",
                None => "an access code; the mailbox is asked for",
            });
            if decision.mailbox.is_some() {
                reasoning.state = "open";
            }
        }
        Route::Deposit { candidates } => {
            let direct = route::direct(case.invite, case.direct_prefixes);
            let candidates = direct.map_or(candidates, |mailbox| vec![mailbox]);
            deposit(store, case, candidates, &mut decision).await?;
        }
    }
    Ok(decision)
}

/// The caller on a line of ours: who it is is known, whatever its From says.
fn caller_on(line: &Line) -> Caller {
    Caller { number: Some(line.number.to_string()), name: Some(line.name.clone()).filter(|name| !name.is_empty()) }
}

fn line_of(line: &Line) -> Dialled {
    Dialled { number: line.number.to_string(), domain: line.tenant.clone() }
}

async fn deposit(
    store: &Store,
    case: Case<'_>,
    candidates: Vec<route::Candidate>,
    decision: &mut Decision,
) -> Result<(), StoreError> {
    let reasoning = &mut decision.reasoning;
    reasoning.forwarded = candidates.first().and_then(|candidate| candidate.forward);
    for candidate in candidates {
        let mut found = several::look(store, &candidate, case.rule, case.is_of_trusted_peer()).await?;
        reasoning.candidates.push(Considered {
            header: candidate.reason,
            rule: found.why.unwrap_or(candidate.rule),
            looked_for: std::mem::take(&mut found.looked_for),
            number: candidate.dialled.number,
            domain: candidate.dialled.domain,
            mailbox: found.mailboxes.first().map(|mailbox| mailbox.number.to_string()),
        });
        // Who means too many means nobody else instead.
        if found.why.is_some() {
            break;
        }
        if found.is_several && !found.mailboxes.is_empty() {
            (reasoning.header, reasoning.rule) = (Some(candidate.reason), Some(candidate.rule));
            reasoning.forwarded = candidate.forward;
            several::begin(found, candidate.forward, decision);
            break;
        }
        let Some(mailbox) = found.mailboxes.pop() else { continue };
        (reasoning.header, reasoning.rule) = (Some(candidate.reason), Some(candidate.rule));
        reasoning.forwarded = candidate.forward;
        if mailbox.enabled {
            let counts = store.counts(&mailbox.id, case.now).await?;
            let is_full = !rules::admits(counts.total());
            let mut view = MailboxView::of(&mailbox, is_full);
            transfer::offer(case.transfers, store, &mut view, case.is_of_trusted_peer()).await?;
            let hears = greet(store, &mut view, candidate.forward, case.now).await?;
            reasoning.opens(hears, is_full);
            decision.opening = Ok(Entry::Deposit { mailbox: view });
        } else {
            reasoning.state = "disabled";
        }
        decision.mailbox = Some(mailbox);
        break;
    }
    Ok(())
}

/// What a caller hears first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Greets {
    With(GreetingKind),
    ForTheList,
    ForTheTenant,
    WithItsNumber,
}

/// Puts the greeting into the view that this call hears: the mailbox's own, or its tenant's if it has not even a name.
pub(super) async fn greet(
    store: &Store,
    view: &mut MailboxView,
    forward: Option<Forward>,
    now: Timestamp,
) -> Result<Greets, StoreError> {
    let greetings = store.greetings(&view.id).await?;
    view.greeting = None;
    match greeting::choose(&greetings, forward, now) {
        Some((GreetingKind::Name, _)) => Ok(Greets::With(GreetingKind::Name)),
        Some((kind, audio)) => {
            view.greeting = Some(audio.clone());
            Ok(Greets::With(kind))
        }
        None => {
            let phrases = store.tenant_phrases(&view.tenant).await?;
            view.greeting = phrases.into_iter().find(|(phrase, _)| *phrase == TenantPhrase::Greeting).map(|(_, audio)| audio);
            Ok(if view.greeting.is_some() { Greets::ForTheTenant } else { Greets::WithItsNumber })
        }
    }
}

/// The mailbox in the tenant of the domain dialled, else in the default tenant, by the number as it was dialled first and then as
/// it may be written as well. Looks for all of them whatever it finds, so that no answer comes sooner.
///
/// # Errors
///
/// [`StoreError::Database`].
pub async fn find(store: &Store, dialled: &Dialled, rule: Option<&DialRule>) -> Result<Option<Mailbox>, StoreError> {
    let mut found = None;
    for form in forms(&dialled.number, rule) {
        let of_tenant = match dialled.domain.as_str() {
            "" => None,
            tenant => store.find_mailbox(tenant, &form).await?,
        };
        let of_default = store.find_mailbox("", &form).await?;
        found = found.or(of_tenant).or(of_default);
    }
    Ok(found)
}

/// How a number that was kept with a message may be written. Whatever another peer's rule would make of one that is not in E.164, it may
/// be somebody else's.
pub(super) fn stored_forms(number: &str, rule: Option<&DialRule>) -> Vec<String> {
    forms(number, rule.filter(|_| number.starts_with('+')))
}

/// How a number that was dialled may be written.
pub(super) fn forms(number: &str, rule: Option<&DialRule>) -> Vec<String> {
    rule.map_or_else(|| vec![number.to_owned()], |rule| rule.forms(number))
}

impl Reasoning {
    /// A message can be left, unless the mailbox is full, after this greeting.
    pub(super) fn opens(&mut self, hears: Greets, is_full: bool) {
        self.purpose = Purpose::Deposit;
        if let Greets::With(GreetingKind::Forwarded(forward)) = hears {
            self.greeting = Some(forward);
        }
        (self.state, self.hears) = match hears {
            _ if is_full => ("full", Some("full")),
            Greets::With(GreetingKind::Temporary) => ("open", Some("temporary")),
            Greets::With(GreetingKind::Standard | GreetingKind::Forwarded(_)) => ("open", Some("greeting")),
            Greets::With(GreetingKind::Name) => ("open", Some("name")),
            Greets::ForTheList => ("open", Some("list")),
            Greets::ForTheTenant => ("open", Some("tenant")),
            Greets::WithItsNumber => ("open", Some("number")),
        };
    }

    /// As it is kept in the record of the call.
    #[must_use]
    pub fn to_json(&self) -> String {
        // It has only text, numbers and words of ours.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The number that was dialled, if the mailbox was found by another than its own: of several, only a list's.
    #[must_use]
    pub fn called(&self, own: &MailboxNumber) -> Option<String> {
        if !self.several.is_empty() {
            return self.list.clone();
        }
        let found = self.candidates.iter().find(|candidate| candidate.mailbox.is_some())?;
        let is_own = found.looked_for.iter().any(|written| written == own.as_str());
        (!is_own).then(|| found.number.clone())
    }
}
