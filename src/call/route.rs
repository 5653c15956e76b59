//! Which mailbox a call is for, who calls, and whose line it comes from. Only trusted peers are believed.

use std::fmt;

use crate::{
    domain::caller::Caller,
    sip::{
        event::IncomingCall,
        wire::{Diversion, HistoryEntry, Host, NameAddr, Scheme, SipUri, percent_decode},
    },
    store::record::Belief,
};

/// The longest number or name that is kept of a caller.
const LONGEST_TEXT: usize = 80;

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
        candidates: Vec<(Dialled, Reason)>,
    },
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The `target` parameter of the Request-URI (RFC 4458).
    Target,
    /// The entry of History-Info (RFC 7044) that the call was first retargeted from.
    HistoryInfo,
    /// The first diverting party of Diversion (RFC 5806).
    Diversion,
    /// The Request-URI itself.
    RequestUri,
}

/// Decides what a call is for. `trusted` says whether the INVITE's source is a trusted peer.
#[must_use]
pub fn route(invite: &IncomingCall, trusted: bool, access_codes: &[String]) -> Route {
    let request = dialled(&invite.request_uri);
    if let Some(Dialled { domain, .. }) = request.as_ref().filter(|dialled| access_codes.contains(&dialled.number)) {
        let mut own_line = invite.asserted.iter().filter(|_| trusted).find_map(|identity| dialled(&identity.uri));
        if let Some(line) = own_line.as_mut().filter(|line| line.domain.is_empty()) {
            // A tel: identity has no domain; the line is where it dials.
            line.domain.clone_from(domain);
        }
        return Route::Retrieval { own_line, domain: domain.clone() };
    }
    let mut candidates = Vec::new();
    if trusted {
        candidates.extend(target(&invite.request_uri).map(|it| (it, Reason::Target)));
        candidates.extend(first_retargeted(&invite.history).map(|it| (it, Reason::HistoryInfo)));
        candidates.extend(first_diverting(&invite.diversions).map(|it| (it, Reason::Diversion)));
    }
    candidates.push((request.unwrap_or(Dialled { number: String::new(), domain: String::new() }), Reason::RequestUri));
    Route::Deposit { candidates }
}

/// Who calls: a trusted peer's P-Asserted-Identity, else From; nobody when privacy is asked for (RFC 3323, RFC 3325).
#[must_use]
pub fn caller(invite: &IncomingCall, trusted: bool) -> Caller {
    if invite.privacy.iter().any(|wish| matches!(wish.as_str(), "id" | "user" | "header")) {
        return Caller::private();
    }
    let asserted = invite.asserted.iter().filter(|_| trusted);
    let named = |identity: &NameAddr| Caller {
        number: dialled(&identity.uri).map(|it| it.number).filter(|it| !is_anonymous(it)).map(|it| shortened(&it)),
        name: identity.display.as_deref().map(str::trim).filter(|it| !it.is_empty() && !is_anonymous(it)).map(shortened),
    };
    let from_host = invite.from.uri.host.as_ref().map(Host::to_string).unwrap_or_default();
    if trusted && !invite.asserted.is_empty() {
        // A peer may assert a SIP and a tel: identity: the number of one may come with the name of the other.
        let identities: Vec<Caller> = asserted.map(named).collect();
        return Caller {
            number: identities.iter().find_map(|caller| caller.number.clone()),
            name: identities.iter().find_map(|caller| caller.name.clone()),
        };
    }
    if from_host.eq_ignore_ascii_case("anonymous.invalid") { Caller::private() } else { named(&invite.from) }
}

/// Who vouches for the caller.
#[must_use]
pub fn believed(invite: &IncomingCall, trusted: bool) -> Belief {
    match caller(invite, trusted) {
        nobody if nobody == Caller::private() => Belief::Withheld,
        _ if trusted && !invite.asserted.is_empty() => Belief::Asserted,
        _ => Belief::From,
    }
}

fn target(uri: &SipUri) -> Option<Dialled> {
    let value = uri.params.get("target")?;
    SipUri::parse(&percent_decode(value)).ok().as_ref().and_then(dialled)
}

/// The entry the call was first sent away from: the one that the first `mp` points at, else the first with a Reason, else
/// the first of several.
fn first_retargeted(history: &[HistoryEntry]) -> Option<Dialled> {
    let mapped_from = history.iter().find_map(|entry| entry.retargeted.as_ref().filter(|(_, how)| how == "mp"));
    let mapped = mapped_from.and_then(|(index, _)| history.iter().find(|entry| entry.index.as_ref() == Some(index)));
    let left = || history.iter().find(|entry| entry.status.is_some());
    let first = || history.first().filter(|_| history.len() > 1);
    dialled(&mapped.or_else(left).or_else(first)?.address.uri)
}

/// Each diversion is put on top of the earlier ones (RFC 5806 §4), so the first diverting party is the last.
fn first_diverting(diversions: &[Diversion]) -> Option<Dialled> {
    diversions.iter().rev().find_map(|diversion| dialled(&diversion.address.uri))
}

fn dialled(uri: &SipUri) -> Option<Dialled> {
    let number = match uri.scheme {
        Scheme::Sip | Scheme::Sips | Scheme::Tel => uri.user_text()?,
        Scheme::Other(_) => return None,
    };
    let domain = uri.host.as_ref().map(|host| host.to_string().to_ascii_lowercase()).unwrap_or_default();
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
    use super::*;
    use crate::sip::flow::Transport;

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
        assert_eq!(chosen[1], (number("voicemail", "vm.example"), Reason::RequestUri));
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
        assert_eq!(reasons[1], ("1003".to_owned(), Reason::Diversion));
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

        let asserted = caller(&call, true);
        assert_eq!((asserted.name.as_deref(), asserted.number.as_deref()), (Some("Bob"), Some("bob")));
        let claimed = caller(&call, false);
        assert_eq!((claimed.name.as_deref(), claimed.number.as_deref()), (Some("Ann Lee"), Some("2025550143")));
    }

    #[test]
    fn who_asks_for_privacy_stays_private() {
        let mut withheld = call("sip:1001@vm");
        withheld.privacy = vec!["id".to_owned()];
        withheld.asserted = vec![address("\"Bob\" <sip:bob@pbx>")];
        let mut anonymous = call("sip:1001@vm");
        anonymous.from = address("\"Anonymous\" <sip:anonymous@anonymous.invalid>");

        assert_eq!(caller(&withheld, true), Caller::private());
        assert_eq!(caller(&anonymous, false), Caller::private());
    }

    fn decide(call: &IncomingCall, trusted: bool) -> Route {
        route(call, trusted, &CODES.map(str::to_owned))
    }

    fn retrieval(own_line: Option<Dialled>) -> Route {
        Route::Retrieval { own_line, domain: "vm.example".to_owned() }
    }

    fn candidates(call: &IncomingCall, trusted: bool) -> Vec<(Dialled, Reason)> {
        match decide(call, trusted) {
            Route::Deposit { candidates } => candidates,
            Route::Retrieval { .. } => panic!("not a retrieval"),
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
            privacy: vec![],
            user_agent: None,
            credentials: None,
            offer: None,
        }
    }
}
