//! `afterbeep explain`.

use std::{
    fmt::Write as _,
    io::Read as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;
use tokio::sync::watch;

use super::{output, workplace::Workplace};
use crate::{
    call::{
        explain::{self, Case, Considered, Decision},
        route,
        screening::{Screened, Screening},
        several::{self, Told},
    },
    config::Config,
    domain::flooding::CallerLimits,
    sdp,
    server::{self, screening_codes},
    sip::{
        event::IncomingCall,
        flow::Flow,
        uas::{self, Unreadable},
        wire::{HeaderViews as _, Host, Message},
    },
    store::access::FollowedAccess,
};

mod trace;

/// Show for a captured INVITE which mailbox it would reach, by which header and rule, and what would happen
///
/// The file holds the bytes of one INVITE, or its text as a log or a trace shows it: Asterisk, FreeSWITCH, sngrep, ngrep -W byline,
/// tcpdump -A. Exit code 0: it would be answered; 3: it would be refused, or is no INVITE.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The captured INVITE; - reads standard input
    #[arg(value_name = "FILE")]
    message: PathBuf,
    /// The address it came from [default: what its topmost Via says]
    #[arg(long, value_name = "ADDRESS")]
    source: Option<IpAddr>,
    /// As if it came from a trusted peer, whatever sip.trusted_peers says
    #[arg(long)]
    trusted: bool,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// It would not be answered.
const REFUSED: i32 = 3;
/// The longest file that is read, in bytes: a message has 64 kB at most, and a log has more around it.
const LONGEST_FILE: u64 = 4 * 1024 * 1024;
/// What files of captured packets begin with: pcap in either byte order and resolution, and pcapng.
const CAPTURES: [[u8; 4]; 5] = [
    [0xd4, 0xc3, 0xb2, 0xa1],
    [0xa1, 0xb2, 0xc3, 0xd4],
    [0x4d, 0x3c, 0xb2, 0xa1],
    [0xa1, 0xb2, 0x3c, 0x4d],
    [0x0a, 0x0d, 0x0d, 0x0a],
];

pub async fn run(args: ExplainArgs, file: Option<&Path>) -> anyhow::Result<()> {
    let bytes = read(&args.message).with_context(|| format!("cannot read {}", args.message.display()))?;
    let place = Workplace::open(file).await?;
    let bytes = trace::as_on_the_wire(bytes);
    let source = args.source.or_else(|| source(&bytes)).unwrap_or(Ipv4Addr::UNSPECIFIED.into());
    // It came to an address of its own kind.
    let mut listening = place.config.sip.listen.iter().map(|listen| listen.address);
    let local = listening.find(|local| local.is_ipv4() == source.is_ipv4()).unwrap_or_else(|| match source {
        IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 5060).into(),
        IpAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 5060).into(),
    });
    let flow = Flow::udp(local, SocketAddr::new(source, 5060));
    let trusted = args.trusted || place.config.trusts(source);
    let explanation = match uas::read_invite(&bytes, &flow) {
        Ok(invite) => {
            let rule = place.config.dial_rule(source);
            let transfers = server::transfers(&place.config)?;
            let case = Case {
                invite: &invite,
                trusted,
                line: None,
                access_codes: &place.config.subscribers_codes(),
                transfers: &transfers,
                direct_prefixes: &place.config.deposit.direct_prefixes,
                rule: rule.as_ref(),
                now: place.now,
            };
            let mut decision = explain::decide(&place.store, case).await?;
            let screened = Screened {
                source,
                domain: &route::dialled_domain(&invite),
                believed: trusted,
                wish: screening_codes(&place.config).wish(&invite.request_uri.user_text().unwrap_or_default()),
            };
            screening(&place).await?.screen(&place.store, screened, &mut decision).await?;
            several::open(&place.store, case, &mut decision).await?;
            Explanation::of(&invite, &decision, source, &place.config)
        }
        Err(why) => Explanation::unread(&why, source, trusted),
    };
    if args.json {
        output::json(&explanation)?;
    } else {
        output::text(&explanation.text())?;
    }
    if explanation.status != Some(200) {
        std::process::exit(REFUSED);
    }
    Ok(())
}

/// The access lists as they are, and nobody who has called too often.
async fn screening(place: &Workplace) -> anyhow::Result<Screening> {
    let mut known = FollowedAccess::default();
    place.store.follow_access(&mut known).await?;
    Ok(Screening::new(watch::channel(Arc::new(known.policy)).1, CallerLimits { per_minute: 0, per_hour: 0 }))
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        std::io::stdin().lock().take(LONGEST_FILE + 1).read_to_end(&mut bytes)?;
    } else {
        std::fs::File::open(file)?.take(LONGEST_FILE + 1).read_to_end(&mut bytes)?;
    }
    anyhow::ensure!(bytes.len() as u64 <= LONGEST_FILE, "it has more than 4 MiB: give one INVITE, not a whole log");
    anyhow::ensure!(!bytes.trim_ascii().is_empty(), "it is empty");
    let is_capture = CAPTURES.iter().any(|magic| bytes.starts_with(magic));
    anyhow::ensure!(
        !is_capture,
        "it is a file of captured packets: give one INVITE of it as text, such as sngrep or tcpdump -A shows it"
    );
    Ok(bytes)
}

/// Where the topmost Via says that the message came from.
fn source(bytes: &[u8]) -> Option<IpAddr> {
    let Ok(Message::Request(request)) = crate::sip::wire::parse(bytes) else { return None };
    let via = request.headers.top_via().ok()?;
    via.received().or_else(|| Host::ip(&via.host))
}

#[derive(Serialize)]
struct Explanation {
    /// The status that the call would get, if any.
    status: Option<u16>,
    /// Why it would not be answered.
    refusal: Option<String>,
    source: String,
    trusted: bool,
    request_uri: Option<String>,
    caller_number: Option<String>,
    caller_name: Option<String>,
    believed: Option<&'static str>,
    caller_from: Option<&'static str>,
    dial_rule: Option<String>,
    purpose: Option<&'static str>,
    tenant: Option<String>,
    mailbox: Option<String>,
    /// The distribution list whose number was dialled.
    list: Option<String>,
    /// All mailboxes that it is for, if it is for several.
    several: Vec<Told>,
    header: Option<&'static str>,
    rule: Option<&'static str>,
    forwarded: Option<&'static str>,
    state: Option<&'static str>,
    hears: Option<&'static str>,
    greeting: Option<&'static str>,
    candidates: Vec<Considered>,
    audio: Option<String>,
}

impl Explanation {
    fn of(invite: &IncomingCall, decision: &Decision, source: IpAddr, config: &Config) -> Self {
        let reasoning = &decision.reasoning;
        let audio = audio(invite, config);
        let needs_password = !reasoning.trusted && !config.is_open_to_anyone(&invite.request_uri);
        let (status, refusal) = match (&decision.opening, &audio) {
            _ if needs_password => {
                (401, Some("a stranger needs the password of a line; see sip.deposits_from_anyone".to_owned()))
            }
            (Err(status), _) => (*status, reasoning.why.map(ToOwned::to_owned)),
            (Ok(_), Err(problem)) => (488, Some(problem.clone())),
            (Ok(_), Ok(_)) => (200, None),
        };
        let caller = &decision.identity.caller;
        Self {
            status: Some(status),
            refusal,
            source: source.to_string(),
            trusted: reasoning.trusted,
            request_uri: Some(invite.request_uri.to_string()),
            caller_number: caller.number.clone(),
            caller_name: caller.name.clone(),
            believed: Some(decision.identity.believed.as_str()),
            caller_from: Some(reasoning.caller_from),
            dial_rule: config.dial_rule(source).map(|rule| rule.to_string()),
            purpose: Some(reasoning.purpose.as_str()),
            tenant: decision.mailbox.as_ref().map(|mailbox| mailbox.tenant.clone()),
            mailbox: decision.mailbox.as_ref().map(|mailbox| mailbox.number.to_string()),
            list: reasoning.list.clone(),
            several: reasoning.several.clone(),
            header: reasoning.header.map(|header| header.as_str()),
            rule: reasoning.rule,
            forwarded: reasoning.forwarded.map(|forward| forward.as_str()),
            state: Some(reasoning.state),
            hears: reasoning.hears,
            greeting: reasoning.greeting.map(|forward| forward.as_str()),
            candidates: reasoning.candidates.clone(),
            audio: audio.ok(),
        }
    }

    fn unread(why: &Unreadable, source: IpAddr, trusted: bool) -> Self {
        let (status, refusal) = match why {
            Unreadable::Refused(refusal) => (Some(refusal.status()), format!("{refusal:?}")),
            Unreadable::Ignored(problem) => (None, format!("this is no INVITE that would be answered: {problem}")),
        };
        Self {
            status,
            refusal: Some(refusal),
            source: source.to_string(),
            trusted,
            request_uri: None,
            caller_number: None,
            caller_name: None,
            believed: None,
            caller_from: None,
            dial_rule: None,
            purpose: None,
            tenant: None,
            mailbox: None,
            list: None,
            several: Vec::new(),
            header: None,
            rule: None,
            forwarded: None,
            state: None,
            hears: None,
            greeting: None,
            candidates: Vec::new(),
            audio: None,
        }
    }

    /// For an operator.
    fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: &str| {
            // What the INVITE says is not for the terminal to obey.
            let value: String = value.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
            let _ = writeln!(text, "{name:14}{value}");
        };
        let belief = if self.trusted {
            "a trusted peer: its headers are believed"
        } else {
            "a stranger: only From and the Request-URI count"
        };
        line("from", &format!("{}, {belief}", self.source));
        if let Some(uri) = &self.request_uri {
            line("for", uri);
        }
        if let (Some(believed), Some(header)) = (self.believed, self.caller_from) {
            let who = match (&self.caller_name, &self.caller_number) {
                (None, None) => "a caller who withholds its number".to_owned(),
                (name, number) => [name, number].into_iter().flatten().cloned().collect::<Vec<_>>().join(" "),
            };
            line("caller", &format!("{who}, by {header} ({believed})"));
        }
        if let Some(rule) = &self.dial_rule {
            line("numbers", rule);
        }
        for candidate in &self.candidates {
            let found = match &candidate.mailbox {
                Some(mailbox) => format!("mailbox {mailbox}"),
                None => "no mailbox".to_owned(),
            };
            let at = if candidate.domain.is_empty() { String::new() } else { format!(" at {}", candidate.domain) };
            let number = candidate.looked_for.join(", ");
            line("considered", &format!("{number}{at}, {}: {found}; {}", candidate.header.as_str(), candidate.rule));
        }
        if let Some(purpose) = self.purpose {
            line("purpose", purpose);
        }
        match (&self.mailbox, self.header, self.rule) {
            (Some(mailbox), Some(header), Some(rule)) => line("mailbox", &format!("{mailbox}, by {header}: {rule}")),
            (None, Some(_), Some(rule)) => line("mailbox", &format!("not known yet: {rule}")),
            _ => line("mailbox", "none"),
        }
        if let Some(list) = &self.list {
            line("list", list);
        }
        for Told { mailbox, state } in &self.several {
            line("member", &format!("{mailbox}: {state}"));
        }
        for (name, value) in
            [("forwarded", self.forwarded), ("state", self.state), ("hears", self.hears), ("greeting for", self.greeting)]
        {
            if let Some(value) = value {
                line(name, value);
            }
        }
        if let Some(audio) = &self.audio {
            line("audio", audio);
        }
        let status = self.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
        line("answer", &self.refusal.as_ref().map_or_else(|| status.clone(), |why| format!("{status}: {why}")));
        text
    }
}

/// What the answer would agree to, or why there is none.
fn audio(invite: &IncomingCall, config: &Config) -> Result<String, String> {
    let Some(offer) = &invite.offer else { return Ok("no offer: the answer would make one".to_owned()) };
    let codecs: Vec<_> = config.rtp.codecs.iter().map(|name| name.0).collect();
    let agreed =
        crate::call::session::agree(offer, invite.local.ip(), &codecs, config.rtp.srtp).map_err(|error| error.to_string())?;
    let sdp::Negotiated { codec, codec_payload_type, telephone_event, remote, .. } = agreed;
    let keys = telephone_event.map_or_else(|| "keys heard in the audio".to_owned(), |it| format!("telephone-event {it}"));
    Ok(format!("{} {codec_payload_type}, {keys}, to {remote}", codec.name()))
}
