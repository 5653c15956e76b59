//! The configuration: what can be set, its defaults, and what each setting means.
//!
//! One TOML file, every key optional; each key can also be given as an environment variable (`sip.listen` as
//! `AFTERBEEP_SIP_LISTEN`), which outweighs the file. The table below is the only place where a key is written down: the
//! structs, their defaults, `docs/configuration.md`, the example file and `afterbeep config show` all come from it.
//!
//! Start with [`Config::load`]. `value` has the types of single values, `load` reads file and environment, `reference` writes
//! the documentation.

mod load;
mod reference;
mod value;

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    audio::codec::Codec,
    delivery::{Relay, Sender},
    domain::{
        destination::{DestinationError, Destinations, Prefix},
        dialling::DialRule,
        keys::{KeyProfile, MenuLength},
        language::AccessLanguage,
        rules,
        time::TimeZone,
    },
    sdp::Policy,
    sip::{
        refer::ReferTarget,
        transport::TlsSettings,
        wire::{Scheme, SipUri},
    },
    store,
};

pub use crate::sip::flow::{ListenAddr, Transport};
use crate::sip::session_timer::SHORTEST_SESSION;
pub use load::{ConfigError, Loaded, Problem};
pub use reference::{example_file, reference_page, show};
pub use value::{
    CodecName, CronExpression, DnsServer, LogFormat, LogLevel, Network, PeerDialRule, PortRange, Secret, SecretUrl, TenantKeys,
};

use value::{Shape, span, time_zone};

settings! {
    /// Where things are kept.
    Config {
        /// The folder for everything that is kept: the SQLite database, audio, the spool of recordings not yet stored, and
        /// `.eml` files. A relative path is looked up beside the configuration file.
        data_dir: PathBuf = PathBuf::from("data"), r#""/var/lib/afterbeep""#;
        /// The database: `sqlite:///path/to/file.db` or `postgres://user:password@host/name`. Without it, `afterbeep.db` in
        /// the data folder.
        database_url: Option<SecretUrl> = None, r#""postgres://afterbeep@db.example/afterbeep""#;
        /// A file that holds `database_url`, for a URL with a password in it.
        database_url_file: Option<PathBuf> = None, r#""/run/secrets/afterbeep-database-url""#;
        /// Where finished audio is kept, as `file:///path/to/folder`. Without it, `audio` in the data folder. Nodes that share a
        /// database must share this folder.
        audio_url: Option<SecretUrl> = None, r#""file:///srv/afterbeep/audio""#;
        /// This machine's name among nodes that share a database. Without it, the host name.
        node: Option<String> = None, r#""vm1""#;
    }

    /// What a new mailbox gets when nothing else is said.
    mailbox: MailboxSettings {
        /// The time zone in which dates and times are spoken and written.
        #[serde(with = "time_zone")]
        time_zone: TimeZone = TimeZone::UTC, r#""Europe/Paris""#;
        /// The language of the prompts. Callers who reach no mailbox hear it, too.
        language: String = "en".to_owned(), r#""en""#;
    }

    /// What is said.
    prompts: PromptSettings {
        /// A folder with prompts of your own: `LANGUAGE/ID.wav` replaces a prompt, and `LANGUAGE/language.toml` adds a language, or the
        /// sounds of an Asterisk; see docs/languages.md. It is read when the server starts.
        dir: Option<PathBuf> = None, r#""/etc/afterbeep/prompts""#;
        /// The languages of callers, by the number they dialled to get here, or by how it begins. It outweighs the language of the
        /// mailbox until its subscriber has logged in.
        languages: Vec<AccessLanguage> = Vec::new(), r#"["8001=fr", "+34...=es"]"#;
    }

    /// Answering SIP calls.
    sip: SipSettings {
        /// Where calls are awaited, as `udp:`, `tcp:`, `tls:`, `wss:` or `ws:`, an address, and a port; without one it is 5060, 5061 for
        /// TLS, 443 for WebSocket over TLS (browsers), and 80 for WebSocket without it (behind a proxy that speaks TLS). `tls:` and
        /// `wss:` need `tls_certificate` and `tls_key`.
        listen: Vec<ListenAddr> = value::texts(["udp:0.0.0.0:5060", "tcp:0.0.0.0:5060"]),
            r#"["udp:0.0.0.0:5060", "tcp:0.0.0.0:5060", "udp:[::]:5060"]"#;
        /// The PBXs, proxies and trunks, by address or network, whose Diversion, History-Info and P-Asserted-Identity are
        /// believed. From everybody else nothing is taken without the password of a line (`afterbeep line set`).
        trusted_peers: Vec<Network> = Vec::new(), r#"["192.0.2.10", "198.51.100.0/24"]"#;
        /// Whether strangers may call mailboxes and leave messages, as an open mail server takes mail. Everything else, such as
        /// `*98`, still needs a trusted peer or the password of a line.
        deposits_from_anyone: bool = false, "true";
        /// The realm of the passwords of lines. Passwords are set for a realm: after a change, all must be set again.
        realm: String = "afterbeep".to_owned(), r#""example.com""#;
        /// The shortest time that a phone can register for; shorter ones are refused, and told so.
        #[serde(with = "span")]
        shortest_registration: Duration = Duration::from_secs(60), r#""30s""#;
        /// The longest time that a phone can register for; longer ones are cut to it. Who names none gets an hour, or this if it is
        /// shorter.
        #[serde(with = "span")]
        longest_registration: Duration = Duration::from_hours(1), r#""10m""#;
        /// How the numbers in a peer's calls are written, so that mailboxes are found and callers shown by their whole number:
        /// the peer's address or network, or `any`, then its country code, the prefixes of national and international numbers, and
        /// `length` if national numbers without any prefix are recognised by it. The first that fits counts. A number is looked
        /// for as it is first, then in E.164 and as it is dialled nationally.
        dial_rules: Vec<PeerDialRule> = Vec::new(),
            r#"["192.0.2.10 country=44 national=0 international=00", "any country=1 national=1 international=011 length=10"]"#;
        /// The most calls at once, as far as `rtp.ports` has room for them; further ones are refused with 503 and go to the
        /// next node.
        max_calls: u32 = 2000, "500";
        /// Our certificate for TLS, in PEM, followed by those that lead to its authority. It, its key and the authorities below are
        /// read again within seconds when the files change, or at once on SIGHUP; a new certificate that cannot be used is an error in the log, and the
        /// old one stays.
        tls_certificate: Option<PathBuf> = None, r#""/etc/afterbeep/certificate.pem""#;
        /// The private key of `tls_certificate`, in PEM.
        tls_key: Option<PathBuf> = None, r#""/etc/afterbeep/key.pem""#;
        /// The authorities, in PEM, by whose signature the certificates of clients are believed. A client need not show one; one that
        /// shows another's is not let in.
        tls_client_authorities: Option<PathBuf> = None, r#""/etc/afterbeep/peers.pem""#;
        /// A client whose certificate has one of these names (a DNS name, a URI or an IP address) is a trusted peer, wherever it
        /// connects from.
        tls_trusted_names: Vec<String> = Vec::new(), r#"["sbc.carrier.example", "sip:pbx.example.com"]"#;
        /// The DNS servers that are asked where host names in SIP are (NAPTR, SRV, A and AAAA); without any, those of this machine.
        dns_servers: Vec<DnsServer> = Vec::new(), r#"["192.0.2.53", "[2001:db8::53]:53"]"#;
        /// The web sites whose pages may connect by WebSocket; without any, all may. They still have to prove who they are.
        websocket_origins: Vec<String> = Vec::new(), r#"["https://phone.example.com"]"#;
        /// The authorities, in PEM, of peers that we connect to. Without it, those that this machine knows.
        tls_peer_authorities: Option<PathBuf> = None, r#""/etc/afterbeep/peers.pem""#;
        /// How long callers hear ringing before the voicemail answers. `"0s"` answers at once, as after a diversion the caller
        /// has heard enough of it.
        #[serde(with = "span")]
        ring: Duration = Duration::ZERO, r#""2s""#;
        /// How long a call may last without a sign of life from the other side's signalling, 90 s at least (RFC 4028). Callers
        /// may ask for less; who knows no session timers is asked by us.
        #[serde(with = "span")]
        session_expires: Duration = Duration::from_mins(30), r#""10m""#;
    }

    /// How much they may do who are no trusted peers. Trusted peers are counted nowhere here.
    strangers: StrangerSettings {
        /// Messages a second from one source: an IPv4 address, or the /64 network of an IPv6 address. Three seconds' worth may come
        /// at once, and five times as many while it has calls.
        requests_per_source: u32 = 50, "20";
        /// Messages a second from all sources together that have neither a call nor proven that they are there. What is above is
        /// dropped unread.
        requests: u32 = 1000, "2000";
        /// New calls a second from all sources together that have not proven that they are there.
        calls: u32 = 100, "200";
        /// Calls of one source at once.
        calls_per_source: u32 = 100, "30";
        /// Calls of one source at once that are not acknowledged yet.
        half_open_per_source: u32 = 20, "10";
        /// Calls of all sources at once that are not acknowledged yet; for one more, the oldest is given up. Never more than a quarter
        /// of `sip.max_calls`.
        half_open: u32 = 500, "200";
        /// Connections of one source at once.
        connections_per_source: u32 = 100, "20";
        /// So many offences ban a source: a wrong password counts three, a request that is refused or asked for a password one, and
        /// one is forgiven every 20 seconds. 0 bans nobody.
        offences: u32 = 30, "60";
        /// How long the first ban lasts. Each further one within a day lasts twice as long as the one before.
        #[serde(with = "span")]
        first_ban: Duration = Duration::from_mins(1), r#""5m""#;
    }

    /// Audio streams.
    rtp: RtpSettings {
        /// The UDP ports for audio, two for each call. They must be reachable from the callers' side.
        ports: PortRange = PortRange { first: 30_000, last: 39_999 }, r#""30000-31999""#;
        /// The codecs that are spoken, in the order in which they are offered; an answer follows the caller's order. One that is
        /// left out is refused.
        codecs: Vec<CodecName> = Codec::ALL.map(CodecName).to_vec(), r#"["PCMU", "PCMA"]"#;
        /// How many threads send and receive audio. One does for well over a thousand calls.
        media_threads: usize = 1, "2";
        /// Whether audio is encrypted (SRTP). `optional` takes what the caller offers: keys in the offer (SDES), a handshake on
        /// the audio port (DTLS-SRTP, as browsers do), or none. `required` refuses calls without, `off` refuses calls that
        /// insist on it. Keys in an offer are as secret as the way it came, so use `tls:` or `wss:` for signalling.
        srtp: Policy = Policy::Optional, r#""required""#;
    }

    /// Leaving messages.
    deposit: DepositSettings {
        /// A shorter recording is no message; the caller is asked again.
        #[serde(with = "span")]
        shortest: Duration = Duration::from_secs(2), r#""3s""#;
        /// So much silence ends a recording, and is cut off. `"0s"` waits for the hang-up.
        #[serde(with = "span")]
        trailing_silence: Duration = Duration::from_secs(10), r#""8s""#;
        /// Whether the recording of a wideband call (G.722, Opus) is kept at 16,000 samples a second, and so in twice the space.
        /// If not, it is kept at 8000 like any other.
        wideband: bool = true, "false";
        /// What is dialled before a mailbox's number to leave a message there without ringing its phone, in the numbering plan of a
        /// PBX that sends such calls here.
        direct_prefixes: Vec<String> = Vec::new(), r#"["*55"]"#;
        /// Whether messages are brought to the level of the prompts (by 12 dB at most, never into clipping), and freed of what
        /// networks and keys add to their end: a busy tone, a key's tone, long silence. The recording as it came is kept beside
        /// until the message is gone; `message export --original` writes it.
        clean_audio: bool = true, "false";
        /// Whether a message is kept in which nobody says anything: only silence, clicks, or a busy tone. What might be a voice,
        /// however soft, is always kept.
        keep_silent: bool = true, "false";
        /// So often may one caller reach one mailbox within a minute; then the caller hears to call again later. Callers whom a trusted
        /// peer names are told apart by their number, others by their address. 0 is no limit.
        calls_per_minute: u32 = 20, "10";
        /// So often may one caller reach one mailbox within an hour. 0 is no limit.
        calls_per_hour: u32 = 100, "60";
    }

    /// Listening to messages by phone.
    retrieval: RetrievalSettings {
        /// What subscribers dial to listen to their messages.
        access_codes: Vec<String> = vec!["*98".to_owned()], r#"["*98", "*97"]"#;
        /// What subscribers dial to have their mailbox refuse the caller who called last. The passcode is asked.
        block_codes: Vec<String> = vec!["*60".to_owned()], r#"["*60"]"#;
        /// What subscribers dial to have their mailbox refuse callers who show no number, or accept them again.
        anonymous_codes: Vec<String> = vec!["*77".to_owned()], r#"["*77"]"#;
    }

    /// What all telephone menus have in common.
    menus: MenuSettings {
        /// Which keys do what, where a mailbox and its tenant say nothing else: our own, or those of the system that people know.
        keys: KeyProfile = KeyProfile::Afterbeep, r#""asterisk""#;
        /// Which keys do what for the mailboxes of single tenants.
        tenant_keys: Vec<TenantKeys> = Vec::new(), r#"["example.com=asterisk", "example.net=unity"]"#;
        /// How much the menus tell unasked: `brief` what is needed most, `full` everything.
        length: MenuLength = MenuLength::Brief, r#""full""#;
    }

    /// Passcodes.
    passcode: PasscodeSettings {
        /// The fewest digits a new passcode may have.
        shortest: usize = 8, "6";
    }

    /// Handing callers on. Nothing of ours connects calls: a trusted peer is asked to, by REFER, and nobody else ever is.
    transfer: TransferSettings {
        /// The host that numbers are dialled at which a peer is asked to connect, as a SIP URI. Without it, the address of the peer
        /// itself.
        domain: Option<SipUri> = None, r#""sip:pbx.example""#;
    }

    /// An operator whom callers reach with `0`, and leave no message.
    operator: OperatorSettings {
        /// Whom mailboxes may have as their operator: numbers, as they are dialled at `transfer.domain`, or SIP URIs. A mailbox has none
        /// until `afterbeep mailbox set --operator` names one of these.
        targets: Vec<ReferTarget> = Vec::new(), r#"["100", "sip:reception@pbx.example"]"#;
    }

    /// Calling back whoever left a message. Off as long as nobody switches it on, here and for a mailbox
    /// (`afterbeep mailbox set --call-back on`).
    call_back: CallBackSettings {
        /// Whether subscribers can call back at all.
        enabled: bool = false, "true";
        /// The beginnings of the numbers that may be called, in E.164. `afterbeep destinations` has lists for tenants and mailboxes, and the
        /// narrowest with an entry for a number decides. `+1` alone does not stand for the Caribbean. Numbers at a premium rate are
        /// never called.
        allow: Vec<Prefix> = Vec::new(), r#"["+44", "+1", "+1876"]"#;
        /// The beginnings of the numbers that may not.
        deny: Vec<Prefix> = Vec::new(), r#"["+4470"]"#;
        /// Calls back of one mailbox in an hour.
        mailbox_per_hour: u32 = rules::CALL_BACKS_PER_MAILBOX.an_hour, "3";
        /// Calls back of one mailbox in 24 hours.
        mailbox_per_day: u32 = rules::CALL_BACKS_PER_MAILBOX.a_day, "10";
        /// Calls back of all mailboxes in an hour.
        per_hour: u32 = rules::CALL_BACKS.an_hour, "50";
        /// Calls back of all mailboxes in 24 hours.
        per_day: u32 = rules::CALL_BACKS.a_day, "200";
        /// Calls back of all mailboxes that are being connected at once. One mailbox has one.
        at_once: u32 = rules::CALL_BACKS.at_once, "5";
    }

    /// Voice-to-email and warnings.
    mail: MailSettings {
        /// The mail server that takes our mails: `smtp://` (no encryption), `smtp+starttls://` or `smtps://`, then
        /// `[user[:password]@]host[:port]`, with special characters in user and password percent-encoded. Without it, mails are
        /// written as `.eml` files under the data folder, and messages keep their whole life: the three days of a mailed message
        /// begin when a mail server has accepted it, and a file is no mail server.
        relay: Option<SecretUrl> = None, r#""smtp+starttls://relay.example:587""#;
        /// The password for the relay's user, if it is not in `relay`.
        password: Option<Secret> = None, r#""correct horse""#;
        /// A file that holds the password for the relay's user.
        password_file: Option<PathBuf> = None, r#""/run/secrets/afterbeep-mail-password""#;
        /// The sender of every mail.
        from: Sender = value::text("Voicemail <voicemail@localhost>"), r#""Voicemail <voicemail@example.com>""#;
        /// How long the relay may take over one step of a delivery.
        #[serde(with = "span")]
        timeout: Duration = Duration::from_secs(30), r#""30s""#;
        /// How many mails are delivered at once.
        parallel: usize = 8, "4";
        /// Whether a recording of 16,000 samples a second is mailed as such. If not, it is mailed at 8000, which every player
        /// knows, in half the space.
        wideband: bool = false, "true";
    }

    /// Message waiting indication: the lamps of telephones. Whoever subscribes is told without any setting.
    mwi: MwiSettings {
        /// A SIP proxy that gets a NOTIFY for every change of a mailbox's counts without having subscribed, with the mailbox's number
        /// in the Request-URI. Without it, only subscribers and registered phones are told.
        proxy: Option<SipUri> = None, r#""sip:proxy.example:5060""#;
        /// Whether phones that are registered here are told although they have not subscribed.
        registered_phones: bool = true, "false";
    }

    /// When the work by the calendar is done, as `cron` expressions in UTC: second, minute, hour, day of month, month, day of
    /// week (`Mon` to `Sun`). A run that was missed is caught up at start.
    jobs: JobSettings {
        /// Remove messages whose life is over.
        expire_messages: CronExpression = value::text("0 */5 * * * *"), r#""0 0 * * * *""#;
        /// Remove audio that belongs to no message.
        sweep_orphans: CronExpression = value::text("0 30 3 * * *"), r#""0 30 3 * * Sun""#;
        /// Mail subscribers whose messages are about to expire or whose mailbox is nearly full.
        warn_subscribers: CronExpression = value::text("0 0 9 * * *"), r#""0 0 9 * * Mon-Fri""#;
        /// Look again at everything that waits to be sent.
        retry_outbox: CronExpression = value::text("0 * * * * *"), r#""30 * * * * *""#;
        /// Remove call records older than `records.keep`.
        prune_records: CronExpression = value::text("0 15 4 * * *"), r#""0 15 4 * * Sun""#;
    }

    /// Call records: what `afterbeep calls` shows, with full numbers.
    records: RecordSettings {
        /// How long they, and what the logs of mailboxes tell, are kept. `"0s"` keeps no records of calls; then the logs are kept for 90 days.
        #[serde(with = "span")]
        keep: Duration = rules::RECORD_LIFE, r#""30d""#;
    }

    /// The log, on standard error.
    log: LogSettings {
        /// `human` for people, `json` for one object a line.
        format: LogFormat = LogFormat::Human, r#""json""#;
        /// `error`, `warn`, `info`, `debug` or `trace`; single modules as in `info,afterbeep::sip=debug`.
        level: LogLevel = value::text("info"), r#""info,afterbeep::sip=debug""#;
    }
}

impl Config {
    /// The database's URL, from `database_url`, its file, or the data folder.
    ///
    /// # Errors
    ///
    /// When `database_url_file` cannot be read.
    pub fn database_url(&self) -> io::Result<SecretUrl> {
        match (&self.database_url, &self.database_url_file) {
            (Some(url), _) => Ok(url.clone()),
            (None, Some(file)) => read_secret(file)?
                .parse()
                .map_err(|error: value::ValueError| io::Error::other(format!("{}: {error}", file.display()))),
            (None, None) => Ok(value::text(&store::sqlite_url(&self.data_dir.join("afterbeep.db")))),
        }
    }

    /// The folder for finished audio.
    #[must_use]
    pub fn audio_dir(&self) -> PathBuf {
        let given = self.audio_url.as_ref().and_then(|url| url.expose().strip_prefix("file://"));
        given.map_or_else(|| self.data_dir.join("audio"), PathBuf::from)
    }

    /// The folder for recordings that are not stored yet.
    #[must_use]
    pub fn spool_dir(&self) -> PathBuf {
        self.data_dir.join("spool")
    }

    /// The folder for mails when there is no relay.
    #[must_use]
    pub fn mail_dir(&self) -> PathBuf {
        self.data_dir.join("mail")
    }

    /// This machine's name among the nodes.
    #[must_use]
    pub fn node_name(&self) -> String {
        let host_name = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_owned());
        self.node.clone().or_else(host_name).unwrap_or_else(|| "node".to_owned())
    }

    /// The most calls at once, for which there are also ports.
    #[must_use]
    pub fn max_calls(&self) -> u32 {
        self.sip.max_calls.min(self.rtp.ports.pairs())
    }

    /// The files and names of TLS.
    #[must_use]
    pub fn tls(&self) -> TlsSettings {
        let sip = &self.sip;
        TlsSettings {
            certificate: sip.tls_certificate.clone(),
            key: sip.tls_key.clone(),
            client_authorities: sip.tls_client_authorities.clone(),
            trusted_names: sip.tls_trusted_names.clone(),
            peer_authorities: sip.tls_peer_authorities.clone(),
        }
    }

    /// Whether `peer` is one of the trusted peers.
    #[must_use]
    pub fn trusts(&self, peer: std::net::IpAddr) -> bool {
        self.sip.trusted_peers.iter().any(|network| network.contains(peer))
    }

    /// What subscribers dial to reach their mailbox, whatever they want to do there.
    #[must_use]
    pub fn subscribers_codes(&self) -> Vec<String> {
        let retrieval = &self.retrieval;
        [&retrieval.access_codes, &retrieval.block_codes, &retrieval.anonymous_codes].into_iter().flatten().cloned().collect()
    }

    /// Whether a stranger may call this, without the password of a line.
    #[must_use]
    pub fn is_open_to_anyone(&self, called: &SipUri) -> bool {
        let is_code = called.user_text().is_some_and(|number| self.subscribers_codes().contains(&number));
        self.sip.deposits_from_anyone && !is_code
    }

    /// How `peer` writes numbers, if a rule says so.
    #[must_use]
    pub fn dial_rule(&self, peer: std::net::IpAddr) -> Option<DialRule> {
        self.sip.dial_rules.iter().find(|rule| rule.applies_to(peer)).map(|rule| rule.rule.clone())
    }

    /// What single values cannot show: settings that contradict each other or a rule of the service. Key and what to do.
    fn contradictions(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        let mut expect = |key, holds: bool, text: &dyn Fn() -> String| {
            if !holds {
                found.push((key, text()));
            }
        };
        expect("database_url", self.database_url.is_none() || self.database_url_file.is_none(), &|| {
            "give either database_url or database_url_file, not both".to_owned()
        });
        expect("audio_url", self.audio_url.as_ref().is_none_or(|url| url.expose().starts_with("file:///")), &|| {
            "audio is kept in a folder: write file:///path/to/folder".to_owned()
        });
        expect("node", self.node.as_ref().is_none_or(|node| !node.trim().is_empty()), &|| {
            "leave it out, or give this machine a name".to_owned()
        });
        expect("sip.listen", !self.sip.listen.is_empty(), &|| "give at least one address, such as udp:0.0.0.0:5060".to_owned());
        let serves_tls = self.sip.listen.iter().any(|address| address.transport.is_secure());
        let has_certificate = self.sip.tls_certificate.is_some() && self.sip.tls_key.is_some();
        expect("sip.tls_certificate", has_certificate || !serves_tls, &|| {
            "to listen for TLS, give a certificate (tls_certificate) and its key (tls_key)".to_owned()
        });
        let proves_names = self.sip.tls_client_authorities.is_some() || self.sip.tls_trusted_names.is_empty();
        expect("sip.tls_trusted_names", proves_names || !serves_tls, &|| {
            "say in tls_client_authorities whose signature proves these names".to_owned()
        });
        let strangers = &self.strangers;
        for (key, value) in [
            ("strangers.requests_per_source", strangers.requests_per_source),
            ("strangers.requests", strangers.requests),
            ("strangers.calls", strangers.calls),
            ("strangers.calls_per_source", strangers.calls_per_source),
            ("strangers.half_open_per_source", strangers.half_open_per_source),
            ("strangers.half_open", strangers.half_open),
            ("strangers.connections_per_source", strangers.connections_per_source),
        ] {
            expect(key, value >= 1, &|| "use 1 at least; who may call at all is said by `afterbeep access`".to_owned());
        }
        expect("strangers.first_ban", strangers.first_ban >= Duration::from_secs(1), &|| {
            "use one second at least; offences = 0 bans nobody".to_owned()
        });
        let is_realm =
            |realm: &str| !realm.is_empty() && realm.chars().all(|c| !c.is_control() && !matches!(c, '"' | '\\' | ':'));
        expect("sip.realm", is_realm(&self.sip.realm) && self.sip.realm.len() <= 64, &|| {
            "use 1 to 64 characters, none of them a quote, a backslash or a colon".to_owned()
        });
        let (shortest, longest) = (self.sip.shortest_registration, self.sip.longest_registration);
        // RFC 3261 §10.3 lets nobody refuse an hour.
        expect("sip.shortest_registration", shortest >= Duration::from_secs(1) && shortest <= Duration::from_hours(1), &|| {
            "use one second to one hour".to_owned()
        });
        expect("sip.longest_registration", longest >= shortest && longest <= Duration::from_hours(24 * 7), &|| {
            "use at least sip.shortest_registration, and a week at most".to_owned()
        });
        expect("sip.max_calls", self.sip.max_calls >= 1, &|| "at least one call must be possible".to_owned());
        expect("sip.ring", self.sip.ring <= Duration::from_mins(1), &|| "nobody waits longer than 1 minute".to_owned());
        let intervals = SHORTEST_SESSION..=Duration::from_hours(24);
        expect("sip.session_expires", intervals.contains(&self.sip.session_expires), &|| "use 90 s to 24 hours".to_owned());
        expect("rtp.ports", self.rtp.ports.pairs() >= 1, &|| "a call needs an even port and the one after it".to_owned());
        expect("rtp.codecs", !self.rtp.codecs.is_empty(), &|| "without a codec nobody can be heard".to_owned());
        expect("rtp.media_threads", (1..=64).contains(&self.rtp.media_threads), &|| "use 1 to 64 threads".to_owned());
        expect("deposit.shortest", self.deposit.shortest < rules::LONGEST_MESSAGE, &|| {
            format!("a message is at most {} long, so nothing could be kept", value::span_text(rules::LONGEST_MESSAGE))
        });
        let code =
            |code: &String| !code.is_empty() && code.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'*' | b'#' | b'+'));
        for (key, codes) in [
            ("deposit.direct_prefixes", &self.deposit.direct_prefixes),
            ("retrieval.access_codes", &self.retrieval.access_codes),
            ("retrieval.block_codes", &self.retrieval.block_codes),
            ("retrieval.anonymous_codes", &self.retrieval.anonymous_codes),
        ] {
            expect(key, codes.iter().all(code), &|| "an access code has digits, * and # only, such as \"*98\"".to_owned());
        }
        expect("passcode.shortest", (4..=rules::LONGEST_PASSCODE).contains(&self.passcode.shortest), &|| {
            format!("use 4 to {} digits; 8 is the default", rules::LONGEST_PASSCODE)
        });
        // Whether a password is right is the relay's to say; here it only matters that there is one.
        let password = (self.mail.password.is_some() || self.mail.password_file.is_some()).then_some("");
        let relay = self.mail.relay.as_ref().map(|url| Relay::parse(url.expose(), password));
        if let Some(Err(error)) = relay {
            expect("mail.relay", false, &|| error.to_string());
        }
        expect("mail.password", self.mail.password.is_none() || self.mail.password_file.is_none(), &|| {
            "give either password or password_file, not both".to_owned()
        });
        expect("mail.timeout", self.mail.timeout >= Duration::from_secs(1), &|| "give the relay one second at least".to_owned());
        let is_proxy = |uri: &SipUri| matches!(uri.scheme, Scheme::Sip | Scheme::Sips) && uri.user.is_none();
        expect("mwi.proxy", self.mwi.proxy.as_ref().is_none_or(is_proxy), &|| {
            "give a SIP URI without a user, such as \"sip:proxy.example:5060\"".to_owned()
        });
        expect("transfer.domain", self.transfer.domain.as_ref().is_none_or(is_proxy), &|| {
            "give a SIP URI without a user, such as \"sip:pbx.example\"".to_owned()
        });
        if let Err(error) = self.call_back.destinations() {
            expect("call_back.allow", false, &|| error.to_string());
        }
        expect("mail.parallel", (1..=256).contains(&self.mail.parallel), &|| "use 1 to 256".to_owned());
        found
    }
}

impl CallBackSettings {
    /// The list of the whole service.
    ///
    /// # Errors
    ///
    /// When it allows what is never called, or is too long.
    pub fn destinations(&self) -> Result<Destinations, DestinationError> {
        let allowed = self.allow.iter().map(|prefix| (prefix, true));
        let mut entries = allowed.chain(self.deny.iter().map(|prefix| (prefix, false)));
        entries.try_fold(Destinations::default(), |list, (prefix, is_allowed)| list.with(prefix.clone(), is_allowed))
    }
}

impl MailSettings {
    /// The relay's password from `password` or its file; one inside the relay's URL is not looked at.
    ///
    /// # Errors
    ///
    /// When `password_file` cannot be read.
    pub fn password(&self) -> io::Result<Option<Secret>> {
        match (&self.password, &self.password_file) {
            (Some(password), _) => Ok(Some(password.clone())),
            (None, Some(file)) => Ok(Some(Secret::new(read_secret(file)?))),
            (None, None) => Ok(None),
        }
    }
}

/// One setting, as documented.
pub struct Key {
    /// The table it stands in; empty for the top of the file.
    pub section: &'static str,
    /// Its name in the table.
    pub name: &'static str,
    /// What it means.
    pub doc: &'static [&'static str],
    /// A value as somebody might write it in the file.
    pub example: &'static str,
    /// What kind of value it takes.
    pub shape: &'static str,
    list: bool,
    quoted: bool,
}

impl Key {
    /// The key with its section: `sip.listen`.
    #[must_use]
    pub fn path(&self) -> String {
        if self.section.is_empty() { self.name.to_owned() } else { format!("{}.{}", self.section, self.name) }
    }

    /// The environment variable that sets it: `AFTERBEEP_SIP_LISTEN`.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("{}{}", load::PREFIX, self.path().replace('.', "_").to_ascii_uppercase())
    }
}

/// A secret kept in a file: its text without the line end.
fn read_secret(file: &Path) -> io::Result<String> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(text.trim_end_matches(['\r', '\n']).to_owned()),
        Err(error) => Err(io::Error::new(error.kind(), format!("cannot read {}: {error}", file.display()))),
    }
}

/// Makes the settings' structs, their defaults and the table of keys from one list.
macro_rules! settings {
    (
        $(#[doc = $root_doc:literal])+
        $Root:ident { $($root_fields:tt)* }
        $(
            $(#[doc = $section_doc:literal])+
            $section:ident: $Section:ident { $($fields:tt)* }
        )*
    ) => {
        settings!(@struct [$($root_doc)+] $Root { $($section: $Section),* } $($root_fields)*);
        $(settings!(@struct [$($section_doc)+] $Section {} $($fields)*);)*

        /// The tables of the file, in order, with what each is about.
        pub static SECTIONS: &[(&str, &[&str])] = &[("", &[$($root_doc),+]), $((stringify!($section), &[$($section_doc),+])),*];

        /// Every key there is, in the order of the documentation, table by table.
        pub static KEYS: &[&[Key]] = &[
            settings!(@keys "", $($root_fields)*),
            $(settings!(@keys stringify!($section), $($fields)*)),*
        ];
    };
    (@struct [$($struct_doc:literal)+] $Name:ident { $($section:ident: $Section:ident),* } $(
        $(#[doc = $doc:literal])+
        $(#[serde($serde:meta)])*
        $key:ident: $type:ty = $default:expr, $example:literal;
    )*) => {
        $(#[doc = $struct_doc])+
        #[derive(Clone, Debug, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $Name {
            $(
                $(#[doc = $doc])+
                $(#[serde($serde)])*
                pub $key: $type,
            )*
            $(
                #[doc = concat!("The table `[", stringify!($section), "]`.")]
                pub $section: $Section,
            )*
        }

        impl Default for $Name {
            fn default() -> Self {
                Self { $($key: $default,)* $($section: $Section::default(),)* }
            }
        }
    };
    (@keys $section:expr, $(
        $(#[doc = $doc:literal])+
        $(#[serde($serde:meta)])*
        $key:ident: $type:ty = $default:expr, $example:literal;
    )*) => {
        &[$(Key {
            section: $section,
            name: stringify!($key),
            doc: &[$($doc),+],
            example: $example,
            shape: <$type as Shape>::SHAPE,
            list: <$type as Shape>::LIST,
            quoted: <$type as Shape>::QUOTED,
        }),*]
    };
}
use settings;
