//! Which mailbox a call is for, who calls, and whose line it comes from. Only trusted peers are believed.

use std::fmt;

use serde::Serialize;

use crate::{
    domain::{caller::Caller, dialling::DialRule, forward::Forward, rules},
    sip::{
        event::IncomingCall,
        wire::{HistoryEntry, Host, NameAddr, Scheme, SipUri, percent_decode},
    },
    store::record::Belief,
};

/// The longest number or name that is kept of a caller.
const LONGEST_TEXT: usize = 80;
/// How many parties of one header are looked for: the first, and those that it forwarded to.
const MOST_PARTIES: usize = 3;

/// What a call is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// An access code was dialled.
    Retrieval {
        /// The subscriber's own line, if a trusted peer vouches for it.
        own_line: Option<Dialled>,
        /// The domain that the code was dialled in: where a mailbox number that is typed is looked for.
        domain: String,
    },
    /// A message is to be left in the first of these that is a mailbox.
    Deposit {
        /// In order of belief, never empty.
        candidates: Vec<Candidate>,
    },
    /// The call goes round in a circle, or has been forwarded too often.
    Loop {
        /// The status it is refused with.
        status: u16,
        /// Why, in words.
        why: &'static str,
    },
}

/// A mailbox that a call may be for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its number.
    pub dialled: Dialled,
    /// Which part of the INVITE names it.
    pub reason: Reason,
    /// By which rule, in words.
    pub rule: &'static str,
    /// Why the call was forwarded from it, if somebody told.
    pub forward: Option<Forward>,
}

/// A number as it was dialled, and the domain it was dialled in. Never evaluated, only compared.
#[derive(Clone, PartialEq, Eq)]
pub struct Dialled {
    /// The user part, unescaped.
    pub number: String,
    /// The host, in lower case; empty where there is none.
    pub domain: String,
}

/// Logs must not carry full numbers.
impl fmt::Debug for Dialled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.number.chars().count().saturating_sub(2);
        write!(f, "Dialled(…{})", self.number.chars().skip(shown).collect::<String>())
    }
}

/// Which part of the INVITE named the mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Reason {
    /// The `target` parameter of the Request-URI (RFC 4458).
    #[serde(rename = "target")]
    Target,
    /// The entry of History-Info (RFC 7044) that the call was first retargeted from.
    #[serde(rename = "History-Info")]
    HistoryInfo,
    /// The first diverting party of Diversion (RFC 5806).
    #[serde(rename = "Diversion")]
    Diversion,
    /// The Request-URI itself.
    #[serde(rename = "Request-URI")]
    RequestUri,
}

impl Reason {
    /// The part's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Target => "target",
            Self::HistoryInfo => "History-Info",
            Self::Diversion => "Diversion",
            Self::RequestUri => "Request-URI",
        }
    }
}

/// Decides what a call is for. `trusted` says whether the INVITE's source is a trusted peer.
#[must_use]
pub fn route(invite: &IncomingCall, trusted: bool, access_codes: &[String]) -> Route {
    if let Some((status, why)) = Some(invite).filter(|_| trusted).and_then(|invite| circle(invite, access_codes)) {
        return Route::Loop { status, why };
    }
    let request = dialled(&invite.request_uri);
    if let Some(Dialled { domain, .. }) = request.as_ref().filter(|dialled| access_codes.contains(&dialled.number)) {
        let mut own_line = invite.asserted.iter().filter(|_| trusted).find_map(|identity| dialled(&identity.uri));
        if let Some(line) = own_line.as_mut().filter(|line| line.domain.is_empty()) {
            // A tel: identity has no domain; the line is where it dials.
            line.domain.clone_from(domain);
        }
        return Route::Retrieval { own_line, domain: domain.clone() };
    }
    let cause = invite.request_uri.params.get("cause").filter(|_| trusted).and_then(|cause| cause.parse().ok());
    let cause = cause.map(Forward::of_status);
    let mut candidates = Vec::new();
    if trusted {
        candidates.extend(target(&invite.request_uri));
        candidates.extend(retargeted(&invite.history, request.as_ref()));
        candidates.extend(diverting(invite));
    }
    candidates.push(Candidate {
        dialled: request.unwrap_or(Dialled { number: String::new(), domain: String::new() }),
        reason: Reason::RequestUri,
        rule: "whom the INVITE is for",
        forward: None,
    });
    // Whoever named the party need not be the one who says why: the cause in the Request-URI is the latest word.
    let told = candidates.iter().find_map(|candidate| candidate.forward);
    for candidate in &mut candidates {
        candidate.forward = cause.or(candidate.forward).or(told);
    }
    Route::Deposit { candidates }
}

/// The mailbox behind one of the prefixes that subscribers dial to leave a message at once, in the Request-URI.
#[must_use]
pub fn direct(invite: &IncomingCall, prefixes: &[String]) -> Option<Candidate> {
    let Dialled { number, domain } = dialled(&invite.request_uri)?;
    let mailbox =
        prefixes.iter().filter_map(|prefix| number.strip_prefix(prefix.as_str())).find(|mailbox| !mailbox.is_empty())?;
    Some(Candidate {
        dialled: Dialled { number: mailbox.to_owned(), domain },
        reason: Reason::RequestUri,
        rule: "the number behind a prefix for leaving a message at once",
        forward: None,
    })
}

/// The domain that a call was sent to, in lower case; empty where there is none.
#[must_use]
pub fn dialled_domain(invite: &IncomingCall) -> String {
    dialled(&invite.request_uri).map(|dialled| dialled.domain).unwrap_or_default()
}

/// Who calls, and who says so.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// The caller.
    pub caller: Caller,
    /// Who vouches for it.
    pub believed: Belief,
    /// Whether the number is believed to be the caller's own, and no number that somebody has made up: a trusted peer asserts it, and
    /// does not say that its signature is wrong or missing; or says that it is right, wherever the number stands.
    pub is_verified: bool,
    /// The header that names it.
    pub header: &'static str,
}

/// Who calls: a trusted peer's P-Asserted-Identity, else its Remote-Party-ID, else From; nobody when privacy is asked for
/// (RFC 3323, RFC 3325). P-Preferred-Identity is a wish, and is not believed from anybody. A number is written as `rule` has it.
#[must_use]
pub fn identify(invite: &IncomingCall, trusted: bool, rule: Option<&DialRule>) -> Identity {
    let withheld = |header| Identity { caller: Caller::private(), believed: Belief::Withheld, is_verified: false, header };
    if invite.privacy.iter().any(|wish| matches!(wish.as_str(), "id" | "user" | "header")) {
        return withheld("Privacy");
    }
    let named = |identity: &NameAddr| Caller {
        number: dialled(&identity.uri).map(|it| it.number).filter(|it| !is_anonymous(it)).map(|it| {
            let global = rule.and_then(|rule| rule.e164(&it));
            shortened(&global.unwrap_or(it))
        }),
        name: identity.display.as_deref().map(str::trim).filter(|it| !it.is_empty() && !is_anonymous(it)).map(shortened),
    };
    let (caller, believed, header, signed) = if trusted && !invite.asserted.is_empty() {
        // A peer may assert a SIP and a tel: identity: the number of one may come with the name of the other.
        let identities: Vec<Caller> = invite.asserted.iter().map(named).collect();
        let caller = Caller {
            number: identities.iter().find_map(|caller| caller.number.clone()),
            name: identities.iter().find_map(|caller| caller.name.clone()),
        };
        let said: Vec<Option<bool>> = invite.asserted.iter().map(|identity| signature(&identity.uri)).collect();
        let signed = if said.contains(&Some(false)) { Some(false) } else { said.into_iter().flatten().next() };
        (caller, Belief::Asserted, "P-Asserted-Identity", signed)
    } else if let Some(party) = invite.remote_parties.iter().filter(|_| trusted).find(|party| party.is_calling) {
        if party.is_private {
            return withheld("Remote-Party-ID");
        }
        let signed = signature(&party.address.uri).or(party.is_unchecked.then_some(false));
        (named(&party.address), Belief::RemoteParty, "Remote-Party-ID", signed)
    } else {
        let host = invite.from.uri.host.as_ref().map(Host::to_string).unwrap_or_default();
        if host.eq_ignore_ascii_case("anonymous.invalid") {
            return withheld("From");
        }
        (named(&invite.from), Belief::From, "From", signature(&invite.from.uri).filter(|_| trusted))
    };
    if caller == Caller::private() {
        return withheld(header);
    }
    let is_verified = signed.unwrap_or(matches!(believed, Belief::Asserted | Belief::RemoteParty));
    Identity { caller, believed, is_verified, header }
}

/// What a carrier says of the number's signature (STIR), if it says anything: whether the caller may use the number. Of the levels of
/// attestation only the first, A, says so; some carriers write it behind.
fn signature(uri: &SipUri) -> Option<bool> {
    let verstat = uri.verstat()?;
    Some(["TN-Validation-Passed", "TN-Validation-Passed-A"].iter().any(|good| verstat.eq_ignore_ascii_case(good)))
}

/// Whether the call has come to us before on its way, or has been forwarded more often than it may.
///
/// Parties that forward to each other are not our trouble: the call has arrived, and its caller can leave a message. Only when
/// the way leads through ourselves would it go on for ever.
fn circle(invite: &IncomingCall, access_codes: &[String]) -> Option<(u16, &'static str)> {
    let entered = |uri: &SipUri| {
        let is_code = dialled(uri).is_some_and(|it| access_codes.contains(&it.number));
        is_code || (uri.socket_address() == Some(invite.local) && uri.user_text() == invite.request_uri.user_text())
    };
    let history = || invite.history.iter().map(|entry| &entry.address.uri);
    // The latest diversion comes first.
    let diverting = || invite.diversions.iter().rev().map(|diversion| &diversion.address.uri);
    // Having come to us, it went elsewhere, and has come again: the request itself is the last time.
    let again = |way: &mut dyn Iterator<Item = &SipUri>| way.skip_while(|uri| !entered(uri)).any(|uri| !entered(uri));
    if again(&mut history()) || again(&mut diverting()) {
        return Some((482, "the call has come to us before, and was forwarded to us again"));
    }
    let count = invite.diversions.iter().map(|diversion| diversion.counter.unwrap_or(1)).fold(0, u32::saturating_add);
    let limit = invite.diversions.iter().filter_map(|diversion| diversion.limit).min().unwrap_or(u32::MAX);
    if count > limit {
        return Some((480, "the call was forwarded more often than its Diversion limit allows"));
    }
    rules::is_forwarded_too_often(count).then_some((480, "the call was forwarded too often"))
}

fn target(uri: &SipUri) -> Option<Candidate> {
    let value = percent_decode(uri.params.get("target")?);
    let dialled = match SipUri::parse(&value) {
        Ok(target) if !matches!(target.scheme, Scheme::Other(_)) => dialled(&target)?,
        // Some leave the scheme out, and some the domain, too.
        _ if value.contains('@') => dialled(&SipUri::parse(&format!("sip:{value}")).ok()?)?,
        _ => Dialled { number: value, domain: dialled(uri).map(|it| it.domain).unwrap_or_default() },
    };
    let rule = "the target parameter of the Request-URI (RFC 4458)";
    Some(Candidate { dialled, reason: Reason::Target, rule, forward: None })
}

/// The entry that the call was first sent away from: the one that the first `mp` points at, else the first with a Reason, else
/// the first of several. Then those that it was sent to since: a number that has no mailbox, such as a group's, may have been
/// forwarded to somebody who has one.
fn retargeted(history: &[HistoryEntry], request: Option<&Dialled>) -> Vec<Candidate> {
    let history = in_order(history);
    let mapping = history.iter().find_map(|entry| entry.retargeted.as_ref().filter(|(_, how)| how == "mp"));
    let mapped = mapping.and_then(|(index, _)| history.iter().position(|entry| entry.index.as_ref() == Some(index)));
    let is_request = |entry: &HistoryEntry| request.is_some() && dialled(&entry.address.uri).as_ref() == request;
    // Some write the Reason into the entry of the next target, which may be ours.
    let is_left = |entry: &HistoryEntry| (entry.status.is_some() || entry.q850.is_some()) && !is_request(entry);
    let left = || history.iter().position(|entry| is_left(entry));
    let first = || (history.len() > 1).then_some(0);
    let Some((first, rule)) = mapped
        .map(|at| (at, "the entry that the first mp points at (RFC 7044)"))
        .or_else(|| left().map(|at| (at, "the first entry that was given up for a Reason (RFC 7044)")))
        .or_else(|| first().map(|at| (at, "the first of several entries (RFC 7044)")))
    else {
        return Vec::new();
    };
    let later = "an entry that the call was retargeted to since";
    let since = history[first..].iter().enumerate().filter_map(|(after, entry)| {
        let dialled = dialled(&entry.address.uri).filter(|dialled| after == 0 || Some(dialled) != request)?;
        // Why the next target was tried says why this one was left, where the entry itself does not.
        let next = next_after(&history, first + after);
        let ours = next.filter(|next| is_request(next));
        let told = entry.status.or_else(|| next?.cause).or_else(|| ours?.status).map(Forward::of_status);
        let forward = told.or_else(|| entry.q850.map(Forward::of_q850));
        Some(Candidate { dialled, reason: Reason::HistoryInfo, rule: if after == 0 { rule } else { later }, forward })
    });
    since.take(MOST_PARTIES).collect()
}

/// The entry that took the place of another: the one that says so, else the one behind it.
fn next_after<'a>(history: &[&'a HistoryEntry], at: usize) -> Option<&'a HistoryEntry> {
    let index = history[at].index.as_ref()?;
    let says_so = |entry: &&&HistoryEntry| entry.retargeted.as_ref().is_some_and(|(of, _)| of == index);
    history.iter().find(says_so).or_else(|| history.get(at + 1)).copied()
}

/// In the order of their indices (RFC 7044 §5.1: `1`, `1.1`, `1.1.2`), which a proxy may have mixed up; as they came, if one of them
/// has none.
fn in_order(history: &[HistoryEntry]) -> Vec<&HistoryEntry> {
    let place = |entry: &HistoryEntry| -> Option<Vec<u32>> {
        entry.index.as_deref()?.split('.').map(|number| number.parse().ok()).collect()
    };
    let mut placed: Vec<_> = history.iter().map(|entry| (place(entry), entry)).collect();
    if placed.iter().all(|(place, _)| place.is_some()) {
        placed.sort_by(|one, other| one.0.cmp(&other.0));
    }
    placed.into_iter().map(|(_, entry)| entry).collect()
}

/// Each diversion is put on top of the earlier ones (RFC 5806 §4), so the first diverting party is the last. Then those that it was
/// diverted to since, which may have a mailbox where a group's number has none.
fn diverting(invite: &IncomingCall) -> Vec<Candidate> {
    let parties = invite.diversions.iter().rev().filter_map(|it| Some((it, dialled(&it.address.uri)?)));
    let candidates = parties.enumerate().map(|(after, (diversion, dialled))| Candidate {
        dialled,
        reason: Reason::Diversion,
        rule: match after {
            0 => "the first diverting party, the last in the list (RFC 5806)",
            _ => "a party that diverted the call since",
        },
        forward: diversion.reason.as_deref().map(Forward::of_diversion),
    });
    candidates.take(MOST_PARTIES).collect()
}

/// The number and domain that a URI names. A telephone number that is valid only somewhere says where (RFC 3966 §5.1.5): in a
/// domain, or after other digits.
fn dialled(uri: &SipUri) -> Option<Dialled> {
    let mut number = match uri.scheme {
        Scheme::Sip | Scheme::Sips | Scheme::Tel => uri.user_text()?,
        Scheme::Other(_) => return None,
    };
    let mut domain = uri.host.as_ref().map(|host| host.to_string().to_ascii_lowercase()).unwrap_or_default();
    match uri.phone_context() {
        Some(context) if context.starts_with('+') && !number.starts_with('+') => number.insert_str(0, &context),
        Some(context) if domain.is_empty() && !context.starts_with('+') => domain = context.to_ascii_lowercase(),
        Some(_) | None => {}
    }
    (!number.is_empty()).then_some(Dialled { number, domain })
}

fn is_anonymous(text: &str) -> bool {
    ["anonymous", "unknown", "unavailable", "private", "restricted"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LONGEST_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::select};

    use super::*;
    use crate::sip::{
        flow::{Flow, Transport},
        uas::read_invite,
        wire::{Diversion, RemoteParty},
    };

    const CODES: [&str; 1] = ["*98"];

    #[test]
    fn an_access_code_is_a_retrieval_from_the_line_a_trusted_peer_vouches_for() {
        let mut call = call("sip:*98@vm.example");
        call.asserted = vec![address("<sip:1001@pbx.example>")];

        assert_eq!(decide(&call, true), retrieval(Some(number("1001", "pbx.example"))));
        assert_eq!(decide(&call, false), retrieval(None));
    }

    #[test]
    fn a_line_without_a_domain_is_where_it_dials() {
        let mut call = call("sip:*98@VM.example");
        call.asserted = vec![address("<tel:1001>")];

        assert_eq!(decide(&call, true), retrieval(Some(number("1001", "vm.example"))));
    }

    #[test]
    fn an_escaped_access_code_is_an_access_code() {
        assert_eq!(decide(&call("sip:%2A98@vm.example"), true), retrieval(None));
    }

    #[test]
    fn a_number_is_verified_by_a_trusted_peer_that_asserts_it_or_by_its_signature() {
        let verified = |asserted: &[&str], from: &str, trusted| {
            let mut call = call("sip:1001@vm.example");
            call.asserted = asserted.iter().map(|text| address(text)).collect();
            call.from = address(from);
            identify(&call, trusted, None).is_verified
        };
        let plain = "<sip:+12025550143@pbx.example>";
        let signed = |word: &str| format!("<sip:+12025550143;verstat={word}@pbx.example;user=phone>");

        assert!(verified(&[plain], plain, true));
        assert!(!verified(&[plain], plain, false), "a stranger asserts nothing");
        assert!(!verified(&[], plain, true), "From is the caller's own word");
        for (word, expected) in [
            ("TN-Validation-Passed", true),
            ("tn-validation-passed", true),
            ("TN-Validation-Passed-A", true),
            ("TN-Validation-Passed-B", false),
            ("TN-Validation-Passed-C", false),
            ("TN-Validation-Failed", false),
            ("No-TN-Validation", false),
        ] {
            assert_eq!(verified(&[&signed(word)], plain, true), expected, "{word}");
            assert_eq!(verified(&[], &signed(word), true), expected, "{word} in From");
            assert!(!verified(&[], &signed(word), false), "{word} of a stranger");
        }
        assert!(verified(&["<tel:+12025550143;verstat=TN-Validation-Passed>"], plain, true));
        assert!(!verified(&[plain, "<tel:+12025550143;verstat=TN-Validation-Failed>"], plain, true));
    }

    #[test]
    fn a_bare_from_never_makes_a_call_the_own_line() {
        let mut call = call("sip:*98@vm.example");
        call.from = address("<sip:1001@pbx.example>");

        assert_eq!(decide(&call, true), retrieval(None));
    }

    #[test]
    fn the_first_diverting_party_is_the_lowest_diversion() {
        let mut call = call("sip:voicemail@vm.example");
        call.diversions = ["<sip:1003@pbx>;reason=no-answer", "<tel:+12025550101>;reason=user-busy"]
            .map(|value| Diversion::parse(value).unwrap())
            .to_vec();

        let chosen = candidates(&call, true);

        assert_eq!(chosen[0], (number("+12025550101", ""), Reason::Diversion));
        assert_eq!(chosen[1], (number("1003", "pbx"), Reason::Diversion), "in case that the first has no mailbox");
        assert_eq!(chosen[2], (number("voicemail", "vm.example"), Reason::RequestUri));
    }

    #[test]
    fn entries_are_taken_in_the_order_of_their_indices() {
        let mut call = call("sip:vm@vm");
        call.history = [
            "<sip:vm@vm;cause=408>;index=1.2.10;mp=1.2",
            "<sip:1002@pbx?Reason=SIP%3Bcause%3D486>;index=1.1",
            "<sip:1003@pbx;cause=486>;index=1.2;mp=1.1",
            "<sip:1001@pbx>;index=1",
        ]
        .map(|value| HistoryEntry::parse(value).unwrap())
        .to_vec();

        let chosen: Vec<_> = candidates(&call, true).into_iter().map(|(dialled, _)| dialled.number).collect();

        assert_eq!(chosen, ["1002", "1003", "vm"]);
    }

    #[test]
    fn a_long_way_is_not_looked_through_to_its_end() {
        let mut call = call("sip:vm@vm;target=sip:1%40pbx");
        call.history = (1..50).map(|n| HistoryEntry::parse(&format!("<sip:{n}@pbx>;index=1.{n}")).unwrap()).collect();
        call.diversions = (1..20).map(|n| Diversion::parse(&format!("<sip:{n}@pbx>")).unwrap()).collect();

        let chosen = candidates(&call, true);

        assert_eq!(chosen.len(), 2 + 2 * MOST_PARTIES);
        assert_eq!(chosen.last(), Some(&(number("vm", "vm"), Reason::RequestUri)));
    }

    #[test]
    fn history_info_outweighs_diversion() {
        let mut call = call("sip:voicemail@vm.example");
        call.diversions = vec![Diversion::parse("<sip:1003@pbx>").unwrap()];
        call.history = [
            "<sip:1001@pbx>;index=1",
            "<sip:1002@pbx?Reason=SIP%3Bcause%3D486>;index=1.1;mp=1",
            "<sip:voicemail@vm>;index=1.2;mp=1.1",
        ]
        .map(|value| HistoryEntry::parse(value).unwrap())
        .to_vec();

        let reasons: Vec<_> = candidates(&call, true).into_iter().map(|(dialled, reason)| (dialled.number, reason)).collect();

        assert_eq!(reasons[0], ("1001".to_owned(), Reason::HistoryInfo));
        assert_eq!(reasons[1], ("1002".to_owned(), Reason::HistoryInfo));
        assert!(reasons.contains(&("1003".to_owned(), Reason::Diversion)));
    }

    #[test]
    fn without_mp_the_party_that_failed_first_is_meant() {
        let mut call = call("sip:voicemail@vm.example");
        call.history = ["<sip:1001@pbx?Reason=SIP%3Bcause%3D408>;index=1", "<sip:voicemail@vm>;index=1.1"]
            .map(|value| HistoryEntry::parse(value).unwrap())
            .to_vec();

        assert_eq!(candidates(&call, true)[0], (number("1001", "pbx"), Reason::HistoryInfo));
    }

    #[test]
    fn a_target_outweighs_everything() {
        let mut call = call("sip:voicemail@vm.example;target=sip:1009%40pbx.example;cause=486");
        call.diversions = vec![Diversion::parse("<sip:1003@pbx>").unwrap()];

        assert_eq!(candidates(&call, true)[0], (number("1009", "pbx.example"), Reason::Target));
    }

    #[test]
    fn a_target_is_understood_however_short_it_is_written() {
        let target = |value: &str| candidates(&self::call(&format!("sip:vm@vm.example;target={value}")), true)[0].clone();

        assert_eq!(target("1009%40PBX.example"), (number("1009", "pbx.example"), Reason::Target));
        assert_eq!(target("1009"), (number("1009", "vm.example"), Reason::Target));
        assert_eq!(target("tel:+1-202-555-0101"), (number("+12025550101", ""), Reason::Target));
        assert_eq!(target("%40"), (number("vm", "vm.example"), Reason::RequestUri), "nobody");
    }

    #[test]
    fn strangers_reach_only_whom_they_dial() {
        let mut call = call("sip:1001@vm.example;target=sip:1009%40pbx");
        call.diversions = vec![Diversion::parse("<sip:1003@pbx>").unwrap()];
        call.history =
            ["<sip:1004@pbx>;index=1", "<sip:x@vm>;index=2;mp=1"].map(|value| HistoryEntry::parse(value).unwrap()).to_vec();

        assert_eq!(candidates(&call, false), [(number("1001", "vm.example"), Reason::RequestUri)]);
    }

    #[test]
    fn a_caller_is_who_the_peer_asserts_or_who_it_says_it_is() {
        let mut call = call("sip:1001@vm");
        call.from = address("\"Ann Lee\" <sip:2025550143@far>");
        call.asserted = vec![address("\"Bob\" <sip:bob@pbx>"), address("<tel:+12025550199>")];

        let asserted = identify(&call, true, None).caller;
        assert_eq!((asserted.name.as_deref(), asserted.number.as_deref()), (Some("Bob"), Some("bob")));
        let claimed = identify(&call, false, None).caller;
        assert_eq!((claimed.name.as_deref(), claimed.number.as_deref()), (Some("Ann Lee"), Some("2025550143")));
    }

    #[test]
    fn who_asks_for_privacy_stays_private() {
        let mut withheld = call("sip:1001@vm");
        withheld.privacy = vec!["id".to_owned()];
        withheld.asserted = vec![address("\"Bob\" <sip:bob@pbx>")];
        let mut anonymous = call("sip:1001@vm");
        anonymous.from = address("\"Anonymous\" <sip:anonymous@anonymous.invalid>");

        assert_eq!(identify(&withheld, true, None).believed, Belief::Withheld);
        assert_eq!(identify(&anonymous, false, None).caller, Caller::private());
    }

    #[test]
    fn an_old_exchange_is_believed_when_it_is_trusted_and_asserts_nothing() {
        let mut call = call("sip:1001@vm");
        call.remote_parties = vec![RemoteParty::parse("\"Bob\" <sip:02079460123@pbx>;party=calling;privacy=off").unwrap()];
        let rule: DialRule = "country=44 national=0 international=00".parse().unwrap();

        let trusted = identify(&call, true, Some(&rule));
        assert_eq!((trusted.caller.number.as_deref(), trusted.believed), (Some("+442079460123"), Belief::RemoteParty));
        assert!(trusted.is_verified);
        assert_eq!(identify(&call, false, Some(&rule)).caller.number.as_deref(), Some("2025550143"));
        call.remote_parties[0].is_private = true;
        assert_eq!(identify(&call, true, None).believed, Belief::Withheld);
        call.asserted = vec![address("<sip:bob@pbx>")];
        assert_eq!(identify(&call, true, None).believed, Belief::Asserted);
    }

    #[test]
    fn the_reason_of_a_forward_is_kept_whoever_tells_it() {
        let forward = |call: &IncomingCall, trusted| match decide(call, trusted) {
            Route::Deposit { candidates } => candidates[0].forward,
            Route::Retrieval { .. } | Route::Loop { .. } => panic!("a deposit"),
        };
        let plain = call("sip:1001@vm");
        let cause = call("sip:1001@vm;cause=486");
        let mut diverted = call("sip:vm@vm");
        diverted.diversions = vec![Diversion::parse("<sip:1001@pbx>;reason=no-answer").unwrap()];
        let mut history = call("sip:vm@vm");
        history.history = ["<sip:1001@pbx?Reason=Q.850%3Bcause%3D17>;index=1", "<sip:vm@vm>;index=1.1"]
            .map(|value| HistoryEntry::parse(value).unwrap())
            .to_vec();
        let mut next = call("sip:vm@vm");
        next.history = ["<sip:1001@pbx>;index=1", "<sip:vm@vm;cause=408>;index=1.1;mp=1"]
            .map(|value| HistoryEntry::parse(value).unwrap())
            .to_vec();

        assert_eq!(forward(&plain, true), None);
        assert_eq!((forward(&cause, true), forward(&cause, false)), (Some(Forward::Busy), None));
        assert_eq!(forward(&diverted, true), Some(Forward::NoAnswer));
        assert_eq!(forward(&history, true), Some(Forward::Busy));
        assert_eq!(forward(&next, true), Some(Forward::NoAnswer));
    }

    #[test]
    fn a_call_that_has_come_to_us_before_is_a_loop() {
        let mut around = call("sip:1001@192.0.2.2");
        around.history = ["<sip:1001@pbx>;index=1", "<sip:1001@192.0.2.2>;index=1.1", "<sip:1001@pbx>;index=1.1.1"]
            .map(|value| HistoryEntry::parse(value).unwrap())
            .to_vec();
        let mut by_code = call("sip:*98@vm.example");
        by_code.diversions = ["<sip:1001@pbx>", "<sip:*98@vm.example>"].map(|value| Diversion::parse(value).unwrap()).to_vec();
        let mut arrived = around.clone();
        arrived.history.truncate(2);
        let mut between_others = call("sip:vm@vm");
        between_others.diversions =
            ["<sip:1@pbx>", "<sip:2@pbx>", "<sip:1@pbx>"].map(|it| Diversion::parse(it).unwrap()).to_vec();

        for looping in [&around, &by_code] {
            assert!(matches!(decide(looping, true), Route::Loop { status: 482, .. }));
            assert!(!matches!(decide(looping, false), Route::Loop { .. }), "strangers are not believed");
        }
        for good in [&arrived, &between_others] {
            assert!(matches!(decide(good, true), Route::Deposit { .. }));
        }
    }

    #[test]
    fn a_call_is_forwarded_as_often_as_its_limit_says_and_no_oftener() {
        let decided = |values: &[&str]| {
            let mut call = call("sip:vm@vm");
            call.diversions = values.iter().map(|value| Diversion::parse(value).unwrap()).collect();
            matches!(decide(&call, true), Route::Loop { status: 480, .. })
        };

        assert!(!decided(&["<sip:2@pbx>;counter=2;limit=3", "<sip:1@pbx>"]));
        assert!(decided(&["<sip:2@pbx>;counter=3;limit=3", "<sip:1@pbx>"]));
        assert!(!decided(&["<sip:1@pbx>;counter=20"]));
        assert!(decided(&["<sip:1@pbx>;counter=21"]));
        assert!(decided(&["<sip:1@pbx>;counter=4294967295", "<sip:2@pbx>;counter=4294967295"]));
    }

    #[test]
    fn a_local_number_is_looked_for_where_it_is_valid() {
        let dialled_of = |uri: &str| dialled(&SipUri::parse(uri).unwrap());

        assert_eq!(dialled_of("tel:1001;phone-context=PBX.example"), Some(number("1001", "pbx.example")));
        assert_eq!(dialled_of("tel:555-0143;phone-context=+1202"), Some(number("+12025550143", "")));
        assert_eq!(dialled_of("sip:5550143;phone-context=+1202@gw;user=phone"), Some(number("+12025550143", "gw")));
        assert_eq!(dialled_of("sip:1001;phone-context=pbx@gw;user=phone"), Some(number("1001", "gw")));
        assert_eq!(dialled_of("tel:+12025550143;phone-context=+44"), Some(number("+12025550143", "")));
    }

    proptest! {
        #[test]
        fn whatever_a_peer_writes_there_is_somebody_to_look_for(
            headers in proptest::collection::vec((select(NAMES), select(PIECES), "[ -~]{0,30}", select(PIECES)), 0..8),
            parameter in "[a-z0-9%=;.+-]{0,30}",
        ) {
            let lines: String = headers.iter().map(|(name, before, any, after)| format!("{name}: {before}{any}{after}\r\n")).collect();
            let text = format!(
                "INVITE sip:vm@vm.example;{parameter} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
                 From: <sip:1@far>;tag=1\r\nTo: <sip:2@vm>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nContact: <sip:1@far>\r\n{lines}\r\n"
            );
            let flow = Flow::udp("192.0.2.2:5060".parse().unwrap(), "192.0.2.1:5060".parse().unwrap());
            let Ok(invite) = read_invite(text.as_bytes(), &flow) else { return Ok(()) };
            let rule: DialRule = "country=1 national=1 international=011 length=10".parse().unwrap();

            for trusted in [true, false] {
                let identity = identify(&invite, trusted, Some(&rule));
                prop_assert!(identity.caller.number.is_none_or(|number| number.chars().count() <= LONGEST_TEXT));
                if let Route::Deposit { candidates } = decide(&invite, trusted) {
                    let most = if trusted { 2 + 2 * MOST_PARTIES } else { 1 };
                    prop_assert!(candidates.len() <= most);
                    prop_assert!(candidates.last().is_some_and(|last| last.reason == Reason::RequestUri));
                }
            }
        }
    }

    const NAMES: &[&str] =
        &["History-Info", "Diversion", "P-Asserted-Identity", "Remote-Party-ID", "Privacy", "P-Preferred-Identity"];

    /// What these headers are made of.
    const PIECES: &[&str] = &[
        "",
        "<sip:1001@pbx>;index=1",
        ",<sip:1002@pbx?Reason=SIP%3Bcause%3D486>;index=1.1;mp=1",
        "<tel:+1-202-555-0101;phone-context=+1>;reason=user-busy;counter=4294967295;limit=0",
        "\"",
        "id;user",
        ";privacy=full;party=calling",
        "<tel:",
        "<sip:%00%FF@[::1",
        ",",
    ];

    fn decide(call: &IncomingCall, trusted: bool) -> Route {
        route(call, trusted, &CODES.map(str::to_owned))
    }

    fn retrieval(own_line: Option<Dialled>) -> Route {
        Route::Retrieval { own_line, domain: "vm.example".to_owned() }
    }

    fn candidates(call: &IncomingCall, trusted: bool) -> Vec<(Dialled, Reason)> {
        match decide(call, trusted) {
            Route::Deposit { candidates } => candidates.into_iter().map(|it| (it.dialled, it.reason)).collect(),
            Route::Retrieval { .. } | Route::Loop { .. } => panic!("a deposit"),
        }
    }

    fn number(number: &str, domain: &str) -> Dialled {
        Dialled { number: number.to_owned(), domain: domain.to_owned() }
    }

    fn address(text: &str) -> NameAddr {
        NameAddr::parse(text).unwrap()
    }

    fn call(request_uri: &str) -> IncomingCall {
        IncomingCall {
            call_id: "1".to_owned(),
            source: "192.0.2.1:5060".parse().unwrap(),
            proof: crate::sip::flow::Proof::default(),
            transport: Transport::Udp,
            local: "192.0.2.2:5060".parse().unwrap(),
            request_uri: SipUri::parse(request_uri).unwrap(),
            from: address("<sip:2025550143@far>"),
            to: address("<sip:1001@vm>"),
            diversions: vec![],
            history: vec![],
            asserted: vec![],
            remote_parties: vec![],
            privacy: vec![],
            user_agent: None,
            credentials: None,
            offer: None,
        }
    }
}
