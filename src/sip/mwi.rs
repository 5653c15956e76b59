//! Message waiting indication (RFC 3842) as an event package of RFC 6665: what a SUBSCRIBE asks, what a NOTIFY says, and what its
//! answer means. Values only: who may subscribe and what the counts are is decided by others.

use std::{fmt, time::Duration};

use rsip::{Header, Method, headers};
use serde::{Deserialize, Serialize};

use super::{
    outgoing::{Outcome, OutgoingRequest},
    peer::Peer,
    request::{OutsideRequest, Reply},
    wire::{HeaderViews as _, Malformed, MediaType, Params, SipUri},
};

/// The event package.
pub const EVENT: &str = "message-summary";
/// The only body a NOTIFY of ours has.
pub const BODY_TYPE: &str = "application/simple-message-summary";

/// The shortest life of a subscription; who wants less is told so with 423.
const SHORTEST: Duration = Duration::from_mins(1);
/// The life of a subscription whose SUBSCRIBE does not say (RFC 3842 §3.4).
const USUAL: Duration = Duration::from_hours(1);
/// The longest life; who wants more gets this.
const LONGEST: Duration = Duration::from_hours(24);
/// How long a listener is left alone after a notice (RFC 3842 §3.10).
pub const PAUSE: Duration = Duration::from_secs(1);
/// How often a notice to a subscriber is tried in vain until the subscription is given up.
const MOST_ATTEMPTS: u32 = 8;
/// The pause after the first failed attempt, and the longest one.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_mins(5);
/// The longest that a peer's Retry-After is heeded: its counts must not be an hour old because it was busy once.
const LONGEST_RETRY_AFTER: Duration = Duration::from_mins(10);

/// What a SUBSCRIBE asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// For how long; nothing is a question that is answered once, or the end of a subscription.
    pub life: Duration,
    /// The `id` of its Event header, which our NOTIFYs repeat.
    pub event_id: Option<String>,
}

impl Wish {
    /// Reads a SUBSCRIBE.
    ///
    /// # Errors
    ///
    /// The answer owed: 489 for another event package, 406 when the body type of ours is not accepted, 423 for too short a life, 400
    /// for what cannot be read.
    pub fn of(request: &OutsideRequest) -> Result<Self, Reply> {
        let headers = &request.request.headers;
        let event = headers.value("Event").map(parts).unwrap_or_default();
        if !event.first().is_some_and(|package| package.eq_ignore_ascii_case(EVENT)) {
            return Err(Reply::status(489).with(allow_events()));
        }
        let event_id = event.iter().skip(1).find_map(|param| {
            let (name, value) = param.split_once('=')?;
            name.trim().eq_ignore_ascii_case("id").then(|| value.trim().to_owned())
        });
        if event_id.as_ref().is_some_and(|id| !is_token(id)) {
            return Err(Reply::status(400));
        }
        let accepted = headers.tokens("Accept");
        if !accepted.is_empty() && !accepted.iter().any(|range| is_accepted(range)) {
            return Err(Reply::status(406).with(Header::Accept(headers::Accept::from(BODY_TYPE))));
        }
        let life = match headers.value("Expires").map(|value| value.trim().parse::<u32>()) {
            None => USUAL,
            Some(Ok(seconds)) => Duration::from_secs(seconds.into()).min(LONGEST),
            Some(Err(_)) => return Err(Reply::status(400)),
        };
        if !life.is_zero() && life < SHORTEST {
            let shortest = headers::MinExpires::from(SHORTEST.as_secs().to_string().as_str());
            return Err(Reply::status(423).with(Header::MinExpires(shortest)));
        }
        Ok(Self { life, event_id })
    }

    /// The 200 to it, which may begin a dialog with this tag.
    #[must_use]
    pub fn accepted(&self, request: &OutsideRequest, user: &str, to_tag: Option<String>) -> Reply {
        let mut reply = Reply { to_tag, ..Reply::status(200) };
        reply.headers.extend(request.request.headers.iter().filter(|h| matches!(h, Header::RecordRoute(_))).cloned());
        reply.headers.push(super::dialog::contact(user, &request.flow));
        reply.with(Header::Expires(headers::Expires::from(self.life.as_secs().to_string().as_str()))).with(allow_events())
    }
}

/// Who is told, as a value to be kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watcher {
    /// Where and how.
    pub peer: Peer,
    /// The `id` of the Event header of who has subscribed.
    pub event_id: Option<String>,
    /// Message-Account: whose messages they are, in the peer's own words.
    pub account: Option<String>,
}

impl Watcher {
    /// The subscriber that a SUBSCRIBE begins a dialog with, with this tag of ours.
    ///
    /// # Errors
    ///
    /// The answer owed: 400 without a Contact.
    pub fn subscribing(request: &OutsideRequest, wish: &Wish, tag: &str) -> Result<Self, Reply> {
        let peer = Peer::subscribing(request, tag).ok_or_else(|| Reply::status(400))?;
        let account = request.request.headers.to_address().ok().map(|to| bare(&to.uri).to_string());
        Ok(Self { peer, event_id: wish.event_id.clone(), account })
    }

    /// Whether both are the same telephone.
    #[must_use]
    pub fn is_at(&self, other: &Self) -> bool {
        self.peer.is_at(&other.peer)
    }

    /// The NOTIFY with this number that tells of a mailbox.
    #[must_use]
    pub fn notify(&self, sequence: u32, state: State, summary: Summary) -> OutgoingRequest {
        let body = summary.body(self.account.as_deref());
        self.peer.request(Method::Notify, sequence, headers(state, self.event_id.as_deref()), body)
    }

    /// Writes it as text, to be kept.
    #[must_use]
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).expect("texts and addresses can be written as JSON")
    }

    /// Reads what [`to_text`](Self::to_text) wrote.
    ///
    /// # Errors
    ///
    /// When the text is anything else.
    pub fn from_text(text: &str) -> Result<Self, Malformed> {
        serde_json::from_str(text).map_err(|_| Malformed("a kept watcher"))
    }
}

/// A URI without what concerns only its use: password, parameters, headers.
fn bare(uri: &SipUri) -> SipUri {
    SipUri { password: None, params: Params::default(), headers: Vec::new(), ..uri.clone() }
}

/// `Allow-Events`: the event packages there are.
#[must_use]
pub fn allow_events() -> Header {
    Header::Other("Allow-Events".to_owned(), EVENT.to_owned())
}

/// What is said of a mailbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// New messages.
    pub new: u32,
    /// Old ones: heard or saved.
    pub old: u32,
    /// Those of the new ones that are urgent.
    pub urgent_new: u32,
    /// Those of the old ones that are urgent.
    pub urgent_old: u32,
}

impl Summary {
    /// The body of a NOTIFY (RFC 3842 §5.2).
    #[must_use]
    pub fn body(self, account: Option<&str>) -> Vec<u8> {
        let waiting = if self.new > 0 { "yes" } else { "no" };
        let account = account.map(|account| format!("Message-Account: {account}\r\n")).unwrap_or_default();
        let Self { new, old, urgent_new, urgent_old } = self;
        format!("Messages-Waiting: {waiting}\r\n{account}Voice-Message: {new}/{old} ({urgent_new}/{urgent_old})\r\n").into_bytes()
    }
}

/// The state of a subscription, as a NOTIFY tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It goes on for so long.
    Active(Duration),
    /// It was not renewed, or unsubscribed; the peer may subscribe again.
    TimedOut,
    /// There is no such mailbox any more.
    NoResource,
    /// The peer must subscribe again, and show anew who it is.
    Deactivated,
    /// There is none: a phone or a proxy is told without having asked.
    Unsolicited,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Active(rest) => write!(f, "active;expires={}", rest.as_secs()),
            Self::TimedOut => f.write_str("terminated;reason=timeout"),
            Self::NoResource => f.write_str("terminated;reason=noresource"),
            Self::Deactivated => f.write_str("terminated;reason=deactivated"),
            Self::Unsolicited => f.write_str("terminated"),
        }
    }
}

/// The headers of a NOTIFY, beside those of every request.
fn headers(state: State, event_id: Option<&str>) -> Vec<Header> {
    let event = event_id.map_or_else(|| EVENT.to_owned(), |id| format!("{EVENT};id={id}"));
    vec![
        Header::Event(headers::Event::from(event.as_str())),
        Header::SubscriptionState(headers::SubscriptionState::from(state.to_string().as_str())),
        Header::ContentType(headers::ContentType::from(BODY_TYPE)),
    ]
}

/// What a NOTIFY's outcome means for whoever is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was taken.
    Taken,
    /// The peer is to be told again, after this pause.
    Again(Duration),
    /// The peer does not want to be told any more, or is gone.
    Over,
}

/// Decides what the outcome of attempt number `attempt` (1 is the first) means for a subscription (RFC 6665 §4.2.2, RFC 5057).
///
/// Statuses that end the dialog or the subscription, and no answer at all, end it: a phone that comes back subscribes anew. All
/// others concern this one NOTIFY, which is sent again with growing pauses; `random`, from 0 to 1, takes up to half of them away.
#[must_use]
pub fn verdict(outcome: Outcome, attempt: u32, random: f64) -> Verdict {
    match outcome {
        Outcome::Answered { status: 200..300, .. } => Verdict::Taken,
        outcome if ends_usage(outcome) => Verdict::Over,
        Outcome::TimedOut => Verdict::Over,
        Outcome::Answered { .. } | Outcome::Unreachable | Outcome::NotSent if attempt >= MOST_ATTEMPTS => Verdict::Over,
        Outcome::Answered { retry_after: Some(pause), .. } => Verdict::Again(pause.clamp(PAUSE, LONGEST_RETRY_AFTER)),
        Outcome::Answered { .. } | Outcome::Unreachable | Outcome::NotSent => Verdict::Again(pause(attempt, random)),
    }
}

/// Whether a peer says that it knows of no such subscription, takes no such request, or is no more (RFC 5057 §5.1).
#[must_use]
pub fn ends_usage(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Answered { status: 404 | 405 | 408 | 410 | 416 | 480..=485 | 489 | 501 | 604, .. })
}

/// Decides what it means for a peer that has not asked: it is told until it takes it. A phone is told once a change, and again when it
/// registers; a proxy has no other way to learn of it.
#[must_use]
pub fn unsolicited_verdict(outcome: Outcome, attempt: u32, random: f64) -> Verdict {
    match outcome {
        Outcome::Answered { status: 200..300, .. } => Verdict::Taken,
        Outcome::Answered { retry_after: Some(pause), .. } => Verdict::Again(pause.clamp(PAUSE, LONGEST_RETRY_AFTER)),
        Outcome::Answered { .. } | Outcome::TimedOut | Outcome::Unreachable | Outcome::NotSent => {
            Verdict::Again(pause(attempt, random))
        }
    }
}

fn pause(attempt: u32, random: f64) -> Duration {
    let full = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1).min(16))).min(LONGEST_PAUSE);
    full.mul_f64(1.0 - random.clamp(0.0, 1.0) / 2.0)
}

fn parts(value: &str) -> Vec<&str> {
    value.split(';').map(str::trim).collect()
}

/// Whether one of an Accept header's ranges has our body type in it, and is not refused by `q=0`.
fn is_accepted(range: &str) -> bool {
    let Ok(range) = MediaType::parse(range) else { return false };
    let refused = range.params.get("q").and_then(|q| q.parse::<f32>().ok()).is_some_and(|q| q <= 0.0);
    !refused && matches!(range.essence.as_str(), BODY_TYPE | "application/*" | "*/*")
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sip::{
        flow::Flow,
        wire::{self, Message},
    };

    #[test]
    fn a_subscribe_says_for_how_long() {
        let life =
            |more: &str| Wish::of(&subscribe(&format!("Event: message-summary\r\n{more}"))).map(|wish| wish.life.as_secs());

        assert_eq!(life(""), Ok(3600));
        assert_eq!(life("Expires: 600\r\n"), Ok(600));
        assert_eq!(life("Expires: 0\r\n"), Ok(0));
        assert_eq!(life("Expires: 60\r\n"), Ok(60));
        assert_eq!(life("Expires: 4294967295\r\n"), Ok(86_400));
        assert_eq!(life("Expires: 59\r\n").unwrap_err().status, 423);
        assert_eq!(life("Expires: soon\r\n").unwrap_err().status, 400);
        assert_eq!(life("Expires: -1\r\n").unwrap_err().status, 400);
    }

    #[test]
    fn another_package_is_told_which_there_is() {
        for event in ["", "Event: presence\r\n", "Event: message-summary.winfo\r\n", "Event: ;id=message-summary\r\n"] {
            let refused = Wish::of(&subscribe(event)).unwrap_err();

            assert_eq!((refused.status, refused.headers), (489, vec![allow_events()]), "{event}");
        }
    }

    #[test]
    fn the_event_id_is_repeated() {
        let id = |event: &str| Wish::of(&subscribe(event)).map(|wish| wish.event_id);

        assert_eq!(id("o: Message-Summary ; id = a.7\r\n"), Ok(Some("a.7".to_owned())));
        assert_eq!(id("Event: message-summary;x;y=1\r\n"), Ok(None));
        assert_eq!(id("Event: message-summary;id=\"a\"\r\n").unwrap_err().status, 400);
        let headers = headers(State::TimedOut, Some("a.7"));
        assert!(headers.contains(&Header::Event("message-summary;id=a.7".into())), "{headers:?}");
    }

    #[test]
    fn who_does_not_take_our_body_is_refused() {
        let status = |accept: &str| Wish::of(&subscribe(&format!("Event: message-summary\r\nAccept: {accept}\r\n"))).err();

        for good in [
            "application/simple-message-summary",
            "text/plain, Application/Simple-Message-Summary;q=0.5",
            "application/*",
            "*/*;q=0.1",
            "",
        ] {
            assert_eq!(status(good), None, "{good}");
        }
        for bad in ["application/pidf+xml", "application/simple-message-summary;q=0", "simple-message-summary"] {
            assert_eq!(status(bad).map(|reply| reply.status), Some(406), "{bad}");
        }
    }

    #[test]
    fn the_answer_begins_a_dialog() {
        let request = subscribe("Event: message-summary\r\nRecord-Route: <sip:203.0.113.1;lr>\r\nExpires: 600\r\n");
        let wish = Wish::of(&request).unwrap();

        let reply = wish.accepted(&request, "voicemail", Some("ours".to_owned()));

        assert_eq!((reply.status, reply.to_tag.as_deref()), (200, Some("ours")));
        for header in [
            Header::RecordRoute("<sip:203.0.113.1;lr>".into()),
            Header::Contact("<sip:voicemail@192.0.2.9:5060>".into()),
            Header::Expires("600".into()),
            allow_events(),
        ] {
            assert!(reply.headers.contains(&header), "{header:?}");
        }
    }

    #[test]
    fn the_lamp_is_on_while_there_are_new_messages() {
        let body =
            |new, old| String::from_utf8(Summary { new, old, ..Summary::default() }.body(Some("sip:6001@vm.example"))).unwrap();

        assert_eq!(body(2, 8), "Messages-Waiting: yes\r\nMessage-Account: sip:6001@vm.example\r\nVoice-Message: 2/8 (0/0)\r\n");
        assert!(body(0, 3).starts_with("Messages-Waiting: no\r\n"));
        assert_eq!(Summary::default().body(None), b"Messages-Waiting: no\r\nVoice-Message: 0/0 (0/0)\r\n");
    }

    #[test]
    fn the_state_says_what_comes_next() {
        for (state, text) in [
            (State::Active(Duration::from_millis(59_999)), "active;expires=59"),
            (State::TimedOut, "terminated;reason=timeout"),
            (State::NoResource, "terminated;reason=noresource"),
            (State::Deactivated, "terminated;reason=deactivated"),
            (State::Unsolicited, "terminated"),
        ] {
            assert_eq!(state.to_string(), text);
        }
    }

    #[test]
    fn what_says_that_the_subscriber_is_gone_ends_the_subscription() {
        for status in [404, 405, 408, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604] {
            assert_eq!(verdict(answered(status, None), 1, 0.0), Verdict::Over, "{status}");
        }
        assert_eq!(verdict(Outcome::TimedOut, 1, 0.0), Verdict::Over);
    }

    #[test]
    fn what_concerns_one_notify_is_tried_again_with_growing_pauses_and_then_given_up() {
        for outcome in [answered(500, None), answered(503, None), answered(401, None), Outcome::Unreachable, Outcome::NotSent] {
            let pauses: Vec<_> = (1..MOST_ATTEMPTS).map(|attempt| verdict(outcome, attempt, 0.0)).collect();

            assert_eq!(pauses, [2, 4, 8, 16, 32, 64, 128].map(|seconds| Verdict::Again(Duration::from_secs(seconds))));
            assert_eq!(verdict(outcome, MOST_ATTEMPTS, 0.0), Verdict::Over);
        }
        assert_eq!(verdict(answered(200, None), 3, 0.0), Verdict::Taken);
        assert_eq!(verdict(answered(202, None), MOST_ATTEMPTS, 0.0), Verdict::Taken);
    }

    #[test]
    fn a_peer_that_says_when_is_asked_then() {
        let at = |seconds| verdict(answered(503, Some(Duration::from_secs(seconds))), 1, 0.0);

        assert_eq!(at(30), Verdict::Again(Duration::from_secs(30)));
        assert_eq!(at(0), Verdict::Again(PAUSE));
        assert_eq!(at(86_400), Verdict::Again(LONGEST_RETRY_AFTER));
    }

    #[test]
    fn a_proxy_is_told_until_it_takes_it() {
        assert_eq!(unsolicited_verdict(Outcome::TimedOut, 1, 1.0), Verdict::Again(Duration::from_secs(1)));
        assert_eq!(unsolicited_verdict(answered(481, None), u32::MAX, 0.0), Verdict::Again(LONGEST_PAUSE));
        assert_eq!(unsolicited_verdict(answered(200, None), 9, 0.0), Verdict::Taken);
    }

    #[test]
    fn urgent_messages_are_told_beside_all() {
        let summary = Summary { new: 4, old: 8, urgent_new: 1, urgent_old: 2 };

        assert_eq!(summary.body(None), b"Messages-Waiting: yes\r\nVoice-Message: 4/8 (1/2)\r\n");
    }

    #[test]
    fn a_watcher_that_was_kept_gets_the_same_notify() {
        let request = subscribe("Event: message-summary;id=7\r\n");
        let watcher = Watcher::subscribing(&request, &Wish::of(&request).unwrap(), "ours").unwrap();

        let kept = Watcher::from_text(&watcher.to_text()).unwrap();

        assert_eq!(kept, watcher);
        let notify = kept.notify(3, State::TimedOut, Summary { new: 1, ..Summary::default() });
        assert_eq!((notify.sequence, notify.call_id.as_str(), notify.is_direct), (3, "1", true));
        assert_eq!(notify.from, "<sip:6001@vm.example>;tag=ours");
        let body = String::from_utf8(notify.body).unwrap();
        assert!(body.contains("\r\nMessage-Account: sip:6001@vm.example\r\n"), "{body}");
        assert!(Watcher::from_text("{}").is_err());
    }

    proptest! {
        #[test]
        fn no_header_makes_us_panic(event in "[ -~]{0,40}", accept in "[ -~]{0,40}", expires in "[ -~]{0,20}") {
            let read = Wish::of(&subscribe(&format!("Event: {event}\r\nAccept: {accept}\r\nExpires: {expires}\r\n")));

            if let Ok(wish) = read {
                prop_assert!(wish.life <= LONGEST && (wish.life.is_zero() || wish.life >= SHORTEST));
            }
        }

        #[test]
        fn whoever_can_subscribe_reads_the_same_after_it_was_kept(contact in "[a-zA-Z0-9%:@;=?&.\\[\\]_-]{1,24}",
                                                                  route in "[a-zA-Z0-9%:@;=?&.\\[\\]_-]{1,24}", name in "\\PC{0,12}") {
            let request = subscribe(&format!("Event: message-summary\r\nRecord-Route: <sip:{route};lr>\r\n"));
            let text = String::from_utf8_lossy(&wire::write_request(&request.request)).into_owned();
            let text = text.replace("<sip:ann@10.0.0.1:5070>", &format!("<sip:{contact}>")).replace("To: <", &format!("To: {name} <"));
            if let Ok(Message::Request(read)) = wire::parse(text.as_bytes()) {
                let request = OutsideRequest { request: read, ..request };
                if let Ok(watcher) = Wish::of(&request).and_then(|wish| Watcher::subscribing(&request, &wish, "ours")) {
                    prop_assert_eq!(Watcher::from_text(&watcher.to_text()), Ok(watcher));
                }
            }
        }

        #[test]
        fn every_outcome_has_a_bounded_pause(status in 200_u16..700, after in proptest::option::of(0_u64..u64::MAX),
                                             attempt in 0_u32..u32::MAX, random in 0.0..1.0) {
            for verdict in [verdict, unsolicited_verdict] {
                if let Verdict::Again(pause) = verdict(answered(status, after.map(Duration::from_secs)), attempt, random) {
                    prop_assert!(pause >= PAUSE && pause <= LONGEST_RETRY_AFTER);
                }
            }
        }
    }

    fn answered(status: u16, retry_after: Option<Duration>) -> Outcome {
        Outcome::Answered { status, retry_after }
    }

    fn subscribe(more: &str) -> OutsideRequest {
        let text = format!(
            "SUBSCRIBE sip:6001@vm.example SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;rport;branch=z9hG4bK1\r\n\
             From: <sip:6001@vm.example>;tag=1\r\nTo: <sip:6001@vm.example>\r\nCall-ID: 1\r\nCSeq: 1 SUBSCRIBE\r\n\
             Contact: <sip:ann@10.0.0.1:5070>\r\n{more}\r\n"
        );
        let Ok(Message::Request(request)) = wire::parse(text.as_bytes()) else { panic!("{text}") };
        OutsideRequest {
            request,
            flow: Flow::udp("192.0.2.9:5060".parse().unwrap(), "203.0.113.1:40000".parse().unwrap()),
            credentials: None,
        }
    }
}
