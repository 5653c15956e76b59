//! One task per call: finds out what the call is for, answers it, drives the menus of `ivr`, and carries out what they ask.
//!
//! This is where protocol, audio, menus and store meet. It decides as little as possible: which mailbox is [`route`]'s
//! decision, what is said and done is `ivr`'s, what is kept is `store`'s. Start with [`Calls::run`], then [`driver`].

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::timeout,
};
use tracing::{Instrument, Span, debug, error, field, info, info_span};

use crate::{
    audio::codec::Codec,
    domain::{
        caller::Caller, dialling::DialRule, id::CallId, language::AccessLanguage, tenant_phrase::TenantPhrase, time::Timestamp,
    },
    ivr::{self, Entry},
    lines::admission::{Admission, Attempt, Verdict},
    media::MediaEngine,
    sdp::Policy,
    sip::{
        event::{Command, IncomingCall},
        handle::NewCall,
    },
    store::{Store, StoreError, line::Line, record::Records},
};

mod compose;
pub mod driver;
pub mod explain;
pub mod key;
pub mod library;
pub mod record;
mod account;
mod question;
pub mod route;
pub mod screening;
pub mod session;
pub mod several;
pub mod tape;
pub mod transfer;

use explain::{Case, Decision};
use library::Library;
use record::RunningRecord;
use route::Reason;
use screening::{Screened, Screening, ScreeningCodes};
use transfer::{Transfers, TrustedPeer};

/// What every call needs.
pub struct Calls {
    /// Where messages are kept.
    pub store: Store,
    /// Whose lines calls come from that bring credentials.
    pub admission: Arc<Admission>,
    /// The media threads.
    pub media: Arc<MediaEngine>,
    /// The prompts, encoded once for each codec.
    pub library: Library,
    /// What the menus follow.
    pub menus: ivr::Settings,
    /// The languages of callers, by what they dialled.
    pub access_languages: Vec<AccessLanguage>,
    /// Whether audio is encrypted.
    pub srtp: Policy,
    /// The codecs we answer and offer with, best first.
    pub codecs: Vec<Codec>,
    /// Whether recordings of wideband calls are kept at 16,000 samples a second.
    pub wideband: bool,
    /// What subscribers dial to reach their mailbox: to listen to their messages, or for what [`ScreeningCodes`] say.
    pub access_codes: Vec<String>,
    /// What they dial before a mailbox's number to leave a message there at once.
    pub direct_prefixes: Vec<String>,
    /// What subscribers dial to have something done about callers.
    pub screening_codes: ScreeningCodes,
    /// How long a caller hears ringing before the call is answered.
    pub ring: Duration,
    /// Who is let in.
    pub screening: Screening,
    /// Whether an address is a trusted peer's.
    pub trusts: Box<dyn Fn(IpAddr) -> bool + Send + Sync>,
    /// How the numbers of an address's calls are written, if that is known.
    pub dial_rule: Box<dyn Fn(IpAddr) -> Option<DialRule> + Send + Sync>,
    /// Who may be handed on.
    pub transfers: Transfers,
    /// Where every call is recorded.
    pub records: Records,
    /// The time on the wall.
    pub now: fn() -> Timestamp,
}

/// When a caller may try again after a refusal for our own trouble.
const RETRY_AFTER: Duration = Duration::from_secs(10);
/// How many characters of a Call-ID the log shows.
const LONGEST_CALL_ID: usize = 64;

/// How long a caller hears nothing while the store is asked for the mailbox; then whoever sent the call may send it elsewhere.
const DECIDE: Duration = Duration::from_secs(5);

impl Calls {
    /// Leads every call that comes in until the channel closes, then waits for the calls in progress, but not longer than until
    /// `stop` says so: then they are hung up, and what was recorded is kept.
    pub async fn run(self: Arc<Self>, mut incoming: mpsc::Receiver<NewCall>, stop: watch::Receiver<bool>) {
        let mut running = JoinSet::new();
        loop {
            tokio::select! {
                call = incoming.recv() => match call {
                    Some(call) => {
                        let id = CallId::random();
                        let sip = shown_call_id(&call.invite.call_id);
                        let span = info_span!("call", call.id = %id, sip.call_id = sip, mailbox.id = field::Empty);
                        running.spawn(self.clone().lead(call, id, stop.clone()).instrument(span));
                    }
                    None => break,
                },
                Some(ended) = running.join_next(), if !running.is_empty() => report(ended),
            }
        }
        while let Some(ended) = running.join_next().await {
            report(ended);
        }
    }

    /// Leads one call to its end.
    async fn lead(self: Arc<Self>, call: NewCall, id: CallId, stop: watch::Receiver<bool>) {
        let NewCall { invite, handle } = call;
        let line = match self.line(&invite).await {
            Ok(line) => line,
            Err(NotALine::OtherNonce(challenge)) => return handle.send(challenge),
            Err(NotALine::Wrong(challenge, why)) => {
                handle.send(challenge);
                return RunningRecord::begin(self.records.clone(), self.now, id, &invite).blocked(401, why, &invite);
            }
            Err(NotALine::Refused(refusal, status, why)) => {
                handle.send(refusal);
                return RunningRecord::begin(self.records.clone(), self.now, id, &invite).refused(status, why);
            }
        };
        let trusted = line.is_none() && invite.proof.is_trusted_or(|| (self.trusts)(invite.source.ip()));
        let mut record = RunningRecord::begin(self.records.clone(), self.now, id.clone(), &invite);
        let rule = (self.dial_rule)(invite.source.ip());
        let case = Case {
            invite: &invite,
            trusted,
            line: line.as_ref(),
            access_codes: &self.access_codes,
            transfers: &self.transfers,
            direct_prefixes: &self.direct_prefixes,
            rule: rule.as_ref(),
            now: (self.now)(),
        };
        let screened = Screened {
            domain: &route::dialled_domain(&invite),
            source: invite.source.ip(),
            believed: trusted || line.is_some(),
            wish: self.screening_codes.wish(&invite.request_uri.user_text().unwrap_or_default()),
        };
        let decided = timeout(DECIDE, self.decide(case, screened)).await;
        let (Decision { opening, turned_away, mailbox, identity, domain, reasoning, several: _ }, phrases) =
            match decided.unwrap_or_else(|_| Err(StoreError::Silent("the store"))) {
                Ok(decision) => decision,
                Err(error) => {
                    error!(error = &error as &dyn std::error::Error, "a call is refused: the store does not answer");
                    handle.send(Command::Refuse { status: 503, retry_after: Some(RETRY_AFTER) });
                    return record.refused(503, "the store does not answer");
                }
            };
        record.caller(&identity.caller, identity.believed);
        record.line(line.as_ref());
        record.reasoning(&reasoning);
        if let Some(mailbox) = &mailbox {
            Span::current().record("mailbox.id", field::display(&mailbox.id));
            record.mailbox(mailbox);
        }
        debug!(header = reasoning.header.map(Reason::as_str), "a call is decided about");
        let entry = match opening {
            Ok(entry) => {
                record.turned_away(turned_away);
                entry
            }
            Err(status) => {
                info!(status, why = reasoning.why, "a call is refused");
                handle.send(Command::Refuse { status, retry_after: None });
                if let Some(why) = turned_away {
                    return record.blocked(status, why, &invite);
                }
                return record.refused(status, reasoning.why.unwrap_or("refused"));
            }
        };
        let (caller, verified) = (identity.caller, identity.is_verified);
        let peer = trusted.then_some(TrustedPeer { address: invite.source, local: invite.local });
        let called = mailbox.as_ref().and_then(|mailbox| reasoning.called(&mailbox.number));
        let believed = trusted || line.is_some();
        let guesser = guesser(&caller, believed, invite.source.ip());
        let session = match session::answer(&self.media, &self.codecs, self.srtp, &invite, handle, self.ring, trusted).await {
            Ok(session) => session,
            Err(refusal) => {
                debug!(%refusal, "a call is refused");
                return record.no_session(&refusal);
            }
        };
        info!(purpose = reasoning.purpose.as_str(), "a call is answered");
        record.answered(session.codec().name());
        let source = invite.source.ip();
        let dialled = invite.request_uri.user_text().unwrap_or_default();
        let language = AccessLanguage::choose(&self.access_languages, &dialled).cloned();
        // It may be kilobytes, and the call may last.
        drop(invite);
        let line = driver::Line {
            id,
            caller,
            called,
            verified,
            guesser,
            source,
            domain,
            language,
            phrases,
            believed,
            own_line: false,
            rule,
            peer,
        };
        driver::Driver::new(self, session, line, entry, record).run(stop).await;
    }

    /// The line that a call comes from, if it brings credentials.
    ///
    /// # Errors
    ///
    /// The refusal, when they are not those of a line, or nobody can say.
    async fn line(&self, invite: &IncomingCall) -> Result<Option<Line>, NotALine> {
        let Some(credentials) = &invite.credentials else { return Ok(None) };
        let attempt = Attempt {
            method: rsip::Method::Invite,
            request_uri: &invite.request_uri,
            credentials,
            domain: &invite.from.uri.host_text(),
            source: invite.source,
            transport: invite.transport,
            user_agent: invite.user_agent.as_deref(),
        };
        match self.admission.decide(&attempt).await {
            Ok(Verdict::Line(line)) => Ok(Some(line)),
            Ok(Verdict::OtherNonce(challenges)) => Err(NotALine::OtherNonce(Command::Challenge { challenges })),
            Ok(Verdict::Wrong(challenges, why)) => Err(NotALine::Wrong(Command::Challenge { challenges }, why)),
            Err(error) => {
                error!(error = &error as &dyn std::error::Error, "a call is refused: the store does not answer");
                let refusal = Command::Refuse { status: 503, retry_after: Some(RETRY_AFTER) };
                Err(NotALine::Refused(refusal, 503, "the store does not answer"))
            }
        }
    }

    /// Decides about a call: whom it is for, and whether it is let in.
    async fn decide(&self, case: Case<'_>, screened: Screened<'_>) -> Result<(Decision, ivr::TenantPhrases), StoreError> {
        let mut decision = explain::decide(&self.store, case).await?;
        self.screening.screen(&self.store, screened, &mut decision).await?;
        several::open(&self.store, case, &mut decision).await?;
        let phrases = match &decision.opening {
            Ok(Entry::Unavailable) => self.phrases(screened.domain).await?,
            Ok(Entry::Retrieval { mailbox } | Entry::Screening { mailbox, .. }) => {
                self.phrases(mailbox.as_ref().map_or(screened.domain, |mailbox| &mailbox.tenant)).await?
            }
            Ok(Entry::Deposit { .. } | Entry::Rejected(_)) | Err(_) => ivr::TenantPhrases::default(),
        };
        Ok((decision, phrases))
    }

    /// What a tenant has recorded, or else the default tenant.
    async fn phrases(&self, tenant: &str) -> Result<ivr::TenantPhrases, StoreError> {
        let mut recorded = self.store.tenant_phrases(tenant).await?;
        if !tenant.is_empty() {
            recorded.extend(self.store.tenant_phrases("").await?);
        }
        let phrase = |wanted| recorded.iter().find(|(phrase, _)| *phrase == wanted).map(|(_, audio)| audio.clone());
        Ok(ivr::TenantPhrases { welcome: phrase(TenantPhrase::Welcome), no_mailbox: phrase(TenantPhrase::NoMailbox) })
    }
}

/// Why a call with credentials is not a line's, and what to do with it.
enum NotALine {
    /// It may be one, and is to come again: nothing has happened yet.
    OtherNonce(Command),
    /// It is none, or may not call from where it does, as the words say.
    Wrong(Command, &'static str),
    /// It is refused, with this status, for this reason.
    Refused(Command, u16, &'static str),
}

/// What tells one guesser of passcodes from others.
///
/// A stranger can write any number into From, so only the address tells strangers apart; and of an IPv6 address only the network,
/// since every host has 2^64 addresses to choose from.
fn guesser(caller: &Caller, trusted: bool, source: IpAddr) -> String {
    match (caller.number.as_deref().filter(|_| trusted), source.to_canonical()) {
        (Some(number), _) => format!("number {number}"),
        (None, IpAddr::V4(address)) => format!("address {address}"),
        (None, IpAddr::V6(address)) => {
            let network = Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX));
            format!("address {network}/64")
        }
    }
}

/// As much of a Call-ID as finds the call in other people's traces: not the host behind it, nor kilobytes of it.
fn shown_call_id(call_id: &str) -> String {
    call_id.split('@').next().unwrap_or_default().chars().take(LONGEST_CALL_ID).collect()
}

/// A call that panicked has hurt nobody else, but somebody must look.
fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        error!(error = &error as &dyn std::error::Error, "a call broke off");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{passcode::Passcode, time::TimeZone},
        ivr::{Answer, Digits, Question},
        media::MediaConfig,
        sip::auth::Authenticator,
        store::{StoreConfig, mailbox::NewMailbox},
    };

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[tokio::test]
    async fn a_number_typed_is_looked_for_where_the_access_code_was_dialled() {
        let folder = tempfile::tempdir().unwrap();
        let calls = calls(folder.path()).await;
        let mailbox = |tenant: &str, number: &str| NewMailbox {
            tenant: tenant.to_owned(),
            number: number.parse().unwrap(),
            aliases: vec![],
            name: String::new(),
            email: None,
            voice_to_email: false,
            time_zone: TimeZone::UTC,
            language: "en".to_owned(),
            passcode: Passcode::typed("49158730").unwrap(),
        };
        let ours = calls.store.create_mailbox(mailbox("a.example", "1001"), NOW).await.unwrap().id;
        let default = calls.store.create_mailbox(mailbox("", "1001"), NOW).await.unwrap().id;
        let only_default = calls.store.create_mailbox(mailbox("", "1002"), NOW).await.unwrap().id;

        assert_eq!(found(&calls, "a.example", "1001").await, Some(ours));
        assert_eq!(found(&calls, "b.example", "1001").await, Some(default.clone()));
        assert_eq!(found(&calls, "", "1001").await, Some(default));
        assert_eq!(found(&calls, "a.example", "1002").await, Some(only_default));
        assert_eq!(found(&calls, "a.example", "1003").await, None);
    }

    #[test]
    fn strangers_are_told_apart_by_what_they_cannot_choose() {
        let told = |number: Option<&str>, trusted, source: &str| {
            let caller = Caller { number: number.map(str::to_owned), name: None };
            guesser(&caller, trusted, source.parse().unwrap())
        };

        assert_eq!(told(Some("1001"), true, "192.0.2.1"), "number 1001");
        assert_eq!(told(Some("1001"), false, "192.0.2.1"), told(Some("1002"), false, "192.0.2.1"));
        assert_ne!(told(None, true, "192.0.2.1"), told(None, true, "192.0.2.2"));
        assert_eq!(told(None, false, "2001:db8::1"), told(None, false, "2001:db8::ffff:1"));
        assert_ne!(told(None, false, "2001:db8::1"), told(None, false, "2001:db8:0:1::1"));
        assert_ne!(told(None, false, "::ffff:192.0.2.1"), told(None, false, "::ffff:192.0.2.2"));
    }

    #[test]
    fn the_log_shows_a_call_id_without_its_host_and_never_pages_of_it() {
        assert_eq!(shown_call_id("a84b4c76e66710@192.0.2.7"), "a84b4c76e66710");
        assert_eq!(shown_call_id(&"x".repeat(60_000)).len(), LONGEST_CALL_ID);
    }

    async fn found(calls: &Arc<Calls>, domain: &str, number: &str) -> Option<crate::domain::id::MailboxId> {
        let line = driver::Line {
            id: CallId::random(),
            caller: Caller::private(),
            verified: false,
            rule: None,
            peer: None,
            called: None,
            guesser: String::new(),
            source: IpAddr::from([127, 0, 0, 1]),
            domain: domain.to_owned(),
            language: None,
            phrases: ivr::TenantPhrases::default(),
            believed: false,
            own_line: false,
        };
        let asking = question::Asking { calls: calls.clone(), line, codec: Codec::Pcmu, recording: None, acting: None };
        match asking.carry_out(Question::FindMailbox(Digits(number.to_owned()))).await.answer {
            Ok(Answer::Mailbox(found)) => found.map(|view| view.id),
            _ => panic!("no answer to the question"),
        }
    }

    async fn calls(folder: &std::path::Path) -> Arc<Calls> {
        let store = Store::open(StoreConfig::local(folder).unwrap()).await.unwrap();
        let authenticator = Authenticator::new("afterbeep", [0; 32], std::time::Instant::now(), Duration::ZERO);
        Arc::new(Calls {
            admission: Arc::new(Admission::new(store.clone(), Arc::new(authenticator), Duration::ZERO)),
            store,
            media: MediaEngine::start(MediaConfig::default()).unwrap(),
            library: Library::default(),
            menus: ivr::Settings::default(),
            access_languages: vec![],
            srtp: Policy::Optional,
            codecs: Codec::ALL.to_vec(),
            wideband: true,
            access_codes: vec![],
            transfers: Transfers::default(),
            direct_prefixes: vec![],
            screening_codes: ScreeningCodes::default(),
            ring: Duration::ZERO,
            screening: Screening::open(),
            trusts: Box::new(|_| false),
            dial_rule: Box::new(|_| None),
            records: Records::default(),
            now: || NOW,
        })
    }
}
