//! A call for several mailboxes: a trusted peer names them together (`sip:1001&1002@…`), or the number dialled is a distribution
//! list's that takes calls. Each of them is asked whether it takes the call; one that does not is left out.

use serde::Serialize;

use super::{
    explain::{self, Case, Decision},
    route::{Candidate, Dialled, Reason},
    screening::{self, NOT_ON_THE_LIST},
    transfer,
};
use crate::{
    domain::{dialling::DialRule, distribution::DistributionList, forward::Forward, id::AudioKey, mailbox::Mailbox, rules},
    ivr::{Entry, MailboxView, Rejection},
    store::{Store, StoreError},
};

/// What stands between mailboxes that are named together.
const BETWEEN: char = '&';
/// Why a candidate is nobody.
const TOO_MANY: &str = "names more mailboxes than get a message at once";

/// The mailboxes that a call is for, while it is found out which of them take it.
pub struct Several {
    /// In the order in which they were named, or of their numbers.
    pub members: Vec<Member>,
    /// What the list has its callers hear.
    greeting: Option<AudioKey>,
    /// Why the call was forwarded.
    forward: Option<Forward>,
}

/// One of them.
pub struct Member {
    /// The mailbox.
    pub mailbox: Mailbox,
    /// Whether it takes the call.
    pub standing: Standing,
}

/// Whether a mailbox takes a call that is for several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It does.
    Takes,
    /// It has no room.
    Full,
    /// It takes no messages.
    Disabled,
    /// The access lists let no call from this address reach it.
    NotListed,
    /// It refuses this caller.
    Rejects(Rejection),
}

impl Standing {
    /// In a word, for the operator.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Takes => "open",
            Self::Full => "full",
            Self::Disabled => "disabled",
            Self::NotListed => NOT_ON_THE_LIST,
            Self::Rejects(Rejection::Blocked) => "blocks the caller",
            Self::Rejects(Rejection::Anonymous) => "refuses callers without a number",
            Self::Rejects(Rejection::TooOften) => "called too often",
        }
    }
}

/// One of several mailboxes, in the record of the call and for `afterbeep explain`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Told {
    /// Its number; what was dialled, if there is none.
    pub mailbox: String,
    /// Whether it takes the call, and why not; `none` when there is no such mailbox.
    pub state: &'static str,
}

/// Whom a candidate means.
#[derive(Default)]
pub struct Found {
    /// The mailboxes; none, one, or several.
    pub mailboxes: Vec<Mailbox>,
    /// Whether it means several, of which perhaps one only is there.
    pub is_several: bool,
    /// The list whose number it is.
    pub list: Option<DistributionList>,
    /// The ways of writing numbers that were looked for, in order.
    pub looked_for: Vec<String>,
    /// Numbers that are nobody's among others.
    pub unknown: Vec<String>,
    /// Why it means nobody, if it would mean somebody otherwise.
    pub why: Option<&'static str>,
}

impl Found {
    fn add(&mut self, mailbox: Mailbox) {
        if self.mailboxes.iter().all(|known| known.id != mailbox.id) {
            self.mailboxes.push(mailbox);
        }
    }
}

/// Looks for the mailboxes that a candidate means. Only who is `believed`, a trusted peer, names several.
///
/// # Errors
///
/// [`StoreError::Database`].
pub async fn look(store: &Store, candidate: &Candidate, rule: Option<&DialRule>, believed: bool) -> Result<Found, StoreError> {
    let Dialled { number, domain } = &candidate.dialled;
    let numbers = named(candidate, believed);
    let mut found = Found { is_several: numbers.is_some(), ..Found::default() };
    let numbers = numbers.unwrap_or_else(|| vec![number]);
    if !rules::admits_at_once(numbers.len()) {
        found.why = Some(TOO_MANY);
        return Ok(found);
    }
    for &number in &numbers {
        let dialled = Dialled { number: number.to_owned(), domain: domain.clone() };
        let forms = explain::forms(number, rule);
        // Both are looked for whatever is found, so that no answer comes sooner.
        let mailbox = explain::find(store, &dialled, rule).await?;
        let list = store.called_list(domain, &forms).await?;
        found.looked_for.extend(forms);
        match (mailbox, list) {
            (Some(mailbox), _) => found.add(mailbox),
            (None, Some(list)) => {
                found.is_several = true;
                for member in store.list_members(&list.id).await? {
                    found.add(member);
                }
                found.list = Some(list).filter(|_| numbers.len() == 1);
            }
            (None, None) if found.unknown.iter().any(|known| known == number) => {}
            (None, None) => found.unknown.push(number.to_owned()),
        }
    }
    if !rules::admits_at_once(found.mailboxes.len()) {
        found.mailboxes.clear();
        found.why = Some(TOO_MANY);
    }
    Ok(found)
}

/// The numbers that a candidate names together; none when it is one number, as it is from everybody but a trusted peer.
fn named(candidate: &Candidate, believed: bool) -> Option<Vec<&str>> {
    let number = candidate.dialled.number.as_str();
    let may_name = believed && matches!(candidate.reason, Reason::Target | Reason::RequestUri);
    (may_name && number.contains(BETWEEN)).then(|| number.split(BETWEEN).filter(|number| !number.is_empty()).collect())
}

/// Begins a decision about a call for several mailboxes: who takes it is asked by [`Screening::screen`](screening::Screening::screen)
/// and decided by [`open`].
pub fn begin(found: Found, forward: Option<Forward>, decision: &mut Decision) {
    let member = |mailbox: Mailbox| {
        let standing = if mailbox.enabled { Standing::Takes } else { Standing::Disabled };
        Member { mailbox, standing }
    };
    let members: Vec<Member> = found.mailboxes.into_iter().map(member).collect();
    decision.mailbox = members.first().map(|member| member.mailbox.clone());
    decision.reasoning.list = found.list.as_ref().map(|list| list.number.to_string());
    decision.reasoning.several = found.unknown.into_iter().map(|mailbox| Told { mailbox, state: "none" }).collect();
    decision.several = Some(Several { members, greeting: found.list.and_then(|list| list.greeting), forward });
}

/// Decides what becomes of a call for several mailboxes, once all of them were asked: who takes it gets it. When nobody does, the caller
/// hears that they are full if one of them is nothing but full, else what the first that refuses says, else that no messages are taken.
///
/// # Errors
///
/// [`StoreError::Database`].
pub async fn open(store: &Store, case: Case<'_>, decision: &mut Decision) -> Result<(), StoreError> {
    let Some(Several { mut members, greeting, forward }) = decision.several.take() else { return Ok(()) };
    for member in members.iter_mut().filter(|member| member.standing == Standing::Takes) {
        if !rules::admits(store.counts(&member.mailbox.id, case.now).await?.total()) {
            member.standing = Standing::Full;
        }
    }
    let unknown = std::mem::take(&mut decision.reasoning.several);
    let told = |member: &Member| Told { mailbox: member.mailbox.number.to_string(), state: member.standing.as_str() };
    decision.reasoning.several = members.iter().map(told).chain(unknown).collect();
    if decision.opening.is_err() {
        return Ok(());
    }
    let mut takers = members.iter().filter(|member| member.standing == Standing::Takes);
    let full = || members.iter().find(|member| member.standing == Standing::Full);
    let (first, is_full) = match (takers.next(), full()) {
        (Some(first), _) => (first, false),
        (None, Some(full)) => (full, true),
        (None, None) => {
            nobody(&members, decision);
            return Ok(());
        }
    };
    let mut view = MailboxView::of(&first.mailbox, is_full);
    view.also = Some(takers.map(|member| member.mailbox.id.clone()).collect());
    transfer::offer(case.transfers, store, &mut view, case.is_of_trusted_peer()).await?;
    let hears = explain::greet(store, &mut view, forward, case.now).await?;
    let hears = match greeting {
        Some(greeting) => {
            view.greeting = Some(greeting);
            explain::Greets::ForTheList
        }
        None => hears,
    };
    decision.mailbox = Some(first.mailbox.clone());
    decision.reasoning.opens(hears, is_full);
    decision.opening = Ok(Entry::Deposit { mailbox: view });
    Ok(())
}

fn nobody(members: &[Member], decision: &mut Decision) {
    let rejection = members.iter().find_map(|member| match member.standing {
        Standing::Rejects(rejection) => Some(rejection),
        Standing::Takes | Standing::Full | Standing::Disabled | Standing::NotListed => None,
    });
    if let Some(rejection) = rejection {
        decision.reasoning.state = "open";
        screening::turn_away(decision, Ok(Entry::Rejected(rejection)), screening::why(rejection));
    } else if members.iter().any(|member| member.standing == Standing::NotListed) {
        decision.reasoning.state = "open";
        screening::turn_away(decision, Ok(Entry::Unavailable), NOT_ON_THE_LIST);
    } else {
        decision.reasoning.state = "disabled";
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_trusted_peer_names_several_mailboxes_in_the_request_or_its_target() {
        for reason in [Reason::RequestUri, Reason::Target] {
            assert_eq!(named(&candidate("1001&1002", reason), true), Some(vec!["1001", "1002"]));
        }
        for reason in [Reason::HistoryInfo, Reason::Diversion] {
            assert_eq!(named(&candidate("1001&1002", reason), true), None);
        }
        assert_eq!(named(&candidate("1001", Reason::RequestUri), true), None);
        assert_eq!(named(&candidate("&1001&&", Reason::RequestUri), true), Some(vec!["1001"]));
    }

    #[test]
    fn a_stranger_names_one_number_whatever_it_writes() {
        assert_eq!(named(&candidate("1001&1002", Reason::RequestUri), false), None);
    }

    proptest! {
        #[test]
        fn whatever_is_named_is_part_of_what_was_written(number in "[0-9&+*%a-z]{0,60}") {
            let candidate = candidate(&number, Reason::Target);
            let named = named(&candidate, true);

            prop_assert_eq!(named.is_some(), number.contains(BETWEEN));
            for part in named.into_iter().flatten() {
                prop_assert!(!part.is_empty() && !part.contains(BETWEEN) && number.contains(part));
            }
        }
    }

    fn candidate(number: &str, reason: Reason) -> Candidate {
        let dialled = Dialled { number: number.to_owned(), domain: String::new() };
        Candidate { dialled, reason, rule: "", forward: None }
    }
}
