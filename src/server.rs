//! The running server: everything put together, started in order and stopped in order.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use anyhow::Context as _;
use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tracing::{debug, error, info, warn};

use crate::{
    call::{
        Calls,
        library::Library,
        record::without_credentials,
        screening::{Screening, ScreeningCodes},
        transfer::{CallBackRules, Transfers},
    },
    config::Config,
    delivery::{self, MailSettings, Relay, mwi::MwiSettings},
    domain::{caller::Caller, destination, flooding::CallerLimits, language::Languages, rules, time::Timestamp},
    ivr,
    jobs::scheduler::{self, Calendar},
    lines::{Lines, access::FollowingAccess, admission::Admission, credentials::credential_uses},
    media::{MediaConfig, MediaEngine},
    sip::{
        auth::Authenticator,
        flow::{Flow, ListenAddr},
        gate::{Dropped, GateConfig, KeptOut},
        policy::{Need, Policy},
        registrar::Lives,
        transport::{RenewalHandle, SipServer},
        uas::UasConfig,
        wire::{SipUri, bytes_of_hex, hex},
    },
    store::{
        self, Store, StoreConfig, audio,
        record::{Attempt, Outcome, Purpose, Records},
        spool::SpoolReport,
    },
    voice::{Voices, folder},
};

/// How many new calls may wait for a task of theirs.
const NEW_CALLS: usize = 256;
/// How many prompts are named in one line of the log.
const PROMPTS_NAMED: usize = 5;
/// How many requests outside calls may wait to be worked on.
const NEW_REQUESTS: usize = 256;
/// How often recordings that wait in the spool are tried again.
const SPOOL_RETRY: Duration = Duration::from_secs(10);
/// How often the log says how many tasks there are.
const TASKS_COUNTED: Duration = Duration::from_secs(10);

/// A server that takes calls.
pub struct Server {
    store: Store,
    addresses: Vec<ListenAddr>,
    drain: watch::Sender<bool>,
    hang_up: watch::Sender<bool>,
    stop: watch::Sender<bool>,
    renewal: RenewalHandle,
    sip: JoinHandle<()>,
    calls: JoinHandle<()>,
    lines: JoinHandle<()>,
    background: Vec<JoinHandle<()>>,
}

impl Server {
    /// Starts a server: store and recovery first, then whatever works in the background, and calls last.
    ///
    /// # Errors
    ///
    /// Whatever keeps the server from doing its work, with what to do about it.
    pub async fn start(config: &Config) -> anyhow::Result<Self> {
        let store = open_store(config).await?;
        let recovered = store.recover(now()).await.context("cannot recover recordings of an earlier run")?;
        report(&recovered);
        store.close_records().await.context("cannot bring the call records up to date")?;
        let records = Records::new(store.keep_records());
        let mail = mail_settings(config)?;
        let voices = voices(config)?;
        let languages = languages(config)?;
        report_prompts(&voices);
        let media = MediaEngine::start(MediaConfig {
            threads: config.rtp.media_threads,
            ports: Some(config.rtp.ports.first..=config.rtp.ports.last),
            rtp_timeout: rules::RTP_TIMEOUT,
            ..MediaConfig::default()
        })
        .context("cannot start the media threads")?;
        let authenticator = Arc::new(authenticator(config, &store).await?);
        let uas = UasConfig {
            max_calls: config.max_calls() as usize,
            session_expires: config.sip.session_expires,
            tls: config.tls(),
            gate: gate_config(config, records.clone()),
            dns_servers: config.sip.dns_servers.iter().map(|server| server.0).collect(),
            websocket_origins: config.sip.websocket_origins.clone(),
            policy: Some(policy(config, authenticator.clone(), records.clone())),
            ..UasConfig::default()
        };
        let sip = SipServer::bind(&config.sip.listen, uas).context(
            "cannot listen for calls; check sip.listen (addresses of this machine that are free) and the files of sip.tls_*",
        )?;
        let addresses = sip.local_addrs();
        let renewal = sip.renewal();

        let (drain, draining) = watch::channel(false);
        let (hang_up, hanging_up) = watch::channel(false);
        let (stop, stopping) = watch::channel(false);
        let mut background = vec![
            tokio::spawn(deliver(store.clone(), mail, stopping.clone())),
            tokio::spawn(delivery::mwi::run(
                store.clone(),
                sip.outgoing(),
                MwiSettings { proxy: config.mwi.proxy.clone(), phones: config.mwi.registered_phones },
                until(stopping.clone()),
            )),
            tokio::spawn(scheduler::run(store.clone(), calendar(config), until(stopping.clone()))),
            tokio::spawn(records.clone().write(store.clone(), until(stopping.clone()))),
            tokio::spawn(delivery::sendings::run(store.clone(), until(stopping.clone()))),
            tokio::spawn(retry_spool(store.clone(), stopping.clone())),
            tokio::spawn(count_tasks(stopping.clone())),
        ];
        let (access, admitted) = FollowingAccess::start(store.clone(), now).await.context("cannot read the access lists")?;
        background.push(tokio::spawn(access.run(until(stopping.clone()))));
        let (uses, notes) = credential_uses();
        background.push(tokio::spawn(notes.run(store.clone(), now, until(stopping.clone()))));
        let admission = Admission::new(store.clone(), authenticator, since_unix_epoch());
        let admission = Arc::new(admission.admitting(admitted.clone()).telling(sip.gate()).noting(uses));
        let (trusted, numbering) = (config.clone(), config.clone());
        let calls = Arc::new(Calls {
            store: store.clone(),
            admission: admission.clone(),
            media,
            library: Library::new(voices),
            menus: ivr::Settings {
                shortest_message: config.deposit.shortest,
                trailing_silence: Some(config.deposit.trailing_silence).filter(|silence| !silence.is_zero()),
                shortest_passcode: config.passcode.shortest,
                keys: ivr::KeySettings {
                    otherwise: config.menus.keys,
                    tenants: Arc::new(config.menus.tenant_keys.iter().map(|it| (it.tenant.clone(), it.keys)).collect()),
                },
                menu_length: config.menus.length,
                languages,
                phrases: ivr::TenantPhrases::default(),
                callers_language: None,
            },
            access_languages: config.prompts.languages.clone(),
            srtp: config.rtp.srtp,
            codecs: config.rtp.codecs.iter().map(|name| name.0).collect(),
            wideband: config.deposit.wideband,
            access_codes: config.subscribers_codes(),
            direct_prefixes: config.deposit.direct_prefixes.clone(),
            screening_codes: screening_codes(config),
            ring: config.sip.ring,
            screening: Screening::new(
                admitted,
                CallerLimits { per_minute: config.deposit.calls_per_minute, per_hour: config.deposit.calls_per_hour },
            ),
            trusts: Box::new(move |peer| trusted.trusts(peer)),
            dial_rule: Box::new(move |peer| numbering.dial_rule(peer)),
            transfers: transfers(config).context("call_back")?,
            records: records.clone(),
            now,
        });
        let (incoming, new_calls) = mpsc::channel(NEW_CALLS);
        let calls = tokio::spawn(calls.run(new_calls, hanging_up));
        let (requests, new_requests) = mpsc::channel(NEW_REQUESTS);
        let lives = Lives { shortest: config.sip.shortest_registration, longest: config.sip.longest_registration };
        let lines = Arc::new(Lines::new(store.clone(), admission, lives, now).recording(records));
        let lines = tokio::spawn(lines.run(new_requests));
        let sip = tokio::spawn(sip.run(incoming, requests, until(draining)));
        Ok(Self { store, addresses, drain, hang_up, stop, renewal, sip, calls, lines, background })
    }

    /// The addresses that calls are awaited on, with the ports the system chose.
    #[must_use]
    pub fn addresses(&self) -> &[ListenAddr] {
        &self.addresses
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// A handle by which the TLS certificate is read again at once; it is anyway when its files change.
    #[must_use]
    pub fn renewal(&self) -> RenewalHandle {
        self.renewal.clone()
    }

    /// Takes no new calls, lets running ones finish, then stops. When `hurry` is ready, running calls are hung up; what was
    /// recorded is kept all the same.
    pub async fn drain(self, hurry: impl Future<Output = ()>) {
        let Self { drain, hang_up, stop, sip, calls, lines, background, .. } = self;
        drain.send_replace(true);
        let finished = async {
            join("sip", sip).await;
            join("calls", calls).await;
            join("lines", lines).await;
        };
        tokio::pin!(finished);
        tokio::select! {
            () = &mut finished => {}
            () = hurry => {
                hang_up.send_replace(true);
                finished.await;
            }
        }
        stop.send_replace(true);
        for task in background {
            join("background", task).await;
        }
    }
}

/// Opens the store as configured; also what commands do beside a running server.
///
/// # Errors
///
/// When the database, a folder or a secret cannot be used.
pub async fn open_store(config: &Config) -> anyhow::Result<Store> {
    let audio_dir = config.audio_dir();
    let folder = |path: &std::path::Path| {
        store::make_private_dir(path).with_context(|| format!("cannot make the folder {}; set data_dir", path.display()))
    };
    folder(&config.data_dir)?;
    folder(&audio_dir)?;
    let settings = StoreConfig {
        database_url: config.database_url().context("cannot read database_url_file")?.expose().to_owned(),
        audio: audio::local(&audio_dir).context("cannot use the audio folder")?,
        audio_dir: Some(audio_dir),
        spool_dir: config.spool_dir(),
        node: config.node_name(),
        shortest_message: config.deposit.shortest,
        clean_audio: config.deposit.clean_audio,
        keep_silent: config.deposit.keep_silent,
        keep_records: config.records.keep,
    };
    Store::open(settings).await.context("cannot open the store; check data_dir and database_url")
}

/// What challenges are made with: a key that all nodes on the database share.
/// The recordings of every language.
///
/// # Errors
///
/// When a folder of prompts cannot be used at all.
pub fn voices(config: &Config) -> anyhow::Result<Voices> {
    match &config.prompts.dir {
        Some(folder) => Voices::with_folder(folder).context("prompts.dir"),
        None => Ok(Voices::ours()),
    }
}

/// Says in the log what is wrong with the operator's prompts: a line for each language and kind of problem.
fn report_prompts(voices: &Voices) {
    for (language, problem, prompts) in voices.summary() {
        let count = prompts.len();
        let named: Vec<&str> = prompts.iter().take(PROMPTS_NAMED).copied().collect();
        let (prompts, more) = (named.join(", "), if count > PROMPTS_NAMED { ", …" } else { "" });
        warn!(%language, problem, count, prompts = %format!("{prompts}{more}"), "prompts are not as they should be; see `afterbeep prompts check`");
    }
}

/// The languages that are spoken here.
///
/// # Errors
///
/// When the folder of prompts cannot be used, or a setting names a language that is not spoken.
pub fn languages(config: &Config) -> anyhow::Result<Languages> {
    let added = config.prompts.dir.as_deref().map(folder::languages).transpose().context("prompts.dir")?;
    let languages = Languages::new(added.unwrap_or_default(), &config.mailbox.language).context("mailbox.language")?;
    for rule in &config.prompts.languages {
        languages.find(rule.language.as_str()).with_context(|| format!("prompts.languages: {rule}"))?;
    }
    Ok(languages)
}

async fn authenticator(config: &Config, store: &Store) -> anyhow::Result<Authenticator> {
    let key = store.server_key("digest", &hex(&rand::random::<[u8; 32]>())).await.context("cannot read the server's key")?;
    let key = bytes_of_hex(&key).and_then(|bytes| bytes.try_into().ok()).context("the server's key cannot be read")?;
    Ok(Authenticator::new(&config.sip.realm, key, Instant::now(), since_unix_epoch()))
}

/// Who may be handed on, and where to.
///
/// # Errors
///
/// When the list of the whole service allows what is never called.
pub fn transfers(config: &Config) -> anyhow::Result<Transfers> {
    let call_back = &config.call_back;
    let of_mailbox = destination::Calls {
        an_hour: call_back.mailbox_per_hour,
        a_day: call_back.mailbox_per_day,
        ..rules::CALL_BACKS_PER_MAILBOX
    };
    let of_service = destination::Calls { an_hour: call_back.per_hour, a_day: call_back.per_day, at_once: call_back.at_once };
    Ok(Transfers {
        operators: config.operator.targets.clone(),
        domain: config.transfer.domain.clone(),
        call_back: CallBackRules { enabled: call_back.enabled, destinations: call_back.destinations()?, of_mailbox, of_service },
    })
}

/// What subscribers dial to have something done about callers.
#[must_use]
pub fn screening_codes(config: &Config) -> ScreeningCodes {
    ScreeningCodes {
        block_last_caller: config.retrieval.block_codes.clone(),
        switch_anonymous: config.retrieval.anonymous_codes.clone(),
    }
}

/// Who is let in without credentials: trusted peers, and, where that is on, whoever leaves a message. Not even trusted peers register
/// phones without: what a proxy passes on may come from anywhere.
fn policy(config: &Config, authenticator: Arc<Authenticator>, records: Records) -> Policy {
    let (config, challenging) = (config.clone(), authenticator.clone());
    let need = move |request: &rsip::Request, flow: &Flow| {
        let is_trusted = flow.proof.is_trusted_or(|| config.trusts(flow.remote.ip()));
        let is_open = || request.method == rsip::Method::Invite && config.is_open_to_anyone(&SipUri::from(&request.uri));
        match request.method {
            rsip::Method::Register => Need::Credentials,
            _ if is_trusted || is_open() => Need::Nothing,
            rsip::Method::Invite if challenging.credentials(&request.headers).is_none() => {
                records.counted(Outcome::Refused, None, without_credentials(request, flow, now()));
                Need::Credentials
            }
            _ => Need::Credentials,
        }
    };
    Policy { authenticator, need: Arc::new(need) }
}

/// How mail leaves, as configured.
///
/// # Errors
///
/// When a secret cannot be read, or the relay or the sender cannot be understood.
pub fn mail_settings(config: &Config) -> anyhow::Result<MailSettings> {
    let mail = &config.mail;
    let password = mail.password().context("cannot read mail.password_file")?;
    let relay = match &mail.relay {
        Some(url) => Some(Relay::parse(url.expose(), password.as_ref().map(|password| password.expose())).context("mail.relay")?),
        None => None,
    };
    Ok(MailSettings {
        relay,
        from: mail.from.clone(),
        timeout: mail.timeout,
        parallel: mail.parallel,
        wideband: mail.wideband,
        mail_dir: config.mail_dir(),
    })
}

/// The time on the wall.
#[must_use]
pub fn now() -> Timestamp {
    chrono::Utc::now().into()
}

/// How much strangers may do.
fn gate_config(config: &Config, records: Records) -> GateConfig {
    let (strangers, trusting) = (&config.strangers, config.clone());
    GateConfig {
        trusts: Arc::new(move |peer| trusting.trusts(peer)),
        kept_out: Arc::new(move |it| record_kept_out(&records, it)),
        requests_per_source: strangers.requests_per_source,
        requests_in_all: strangers.requests,
        calls_in_all: strangers.calls,
        half_open_per_source: strangers.half_open_per_source,
        half_open_in_all: strangers.half_open.min(config.max_calls() / 4).max(1) as usize,
        calls_per_source: strangers.calls_per_source,
        connections_per_source: strangers.connections_per_source,
        offences: strangers.offences,
        first_ban: strangers.first_ban,
    }
}

/// Records what the gate kept out, so that the operator sees it among all attempts.
fn record_kept_out(records: &Records, kept_out: &KeptOut<'_>) {
    let purpose = match kept_out.method {
        Some("INVITE") => Purpose::Call,
        Some("REGISTER") => Purpose::Registration,
        Some("SUBSCRIBE") => Purpose::Subscription,
        Some("OPTIONS") => Purpose::Other,
        None if kept_out.why == Dropped::Connections => Purpose::Other,
        // The rest belongs to a call, or is nothing that we do.
        _ => return,
    };
    records.blocked(Attempt {
        at: now(),
        source: kept_out.source,
        transport: kept_out.transport.to_string().into(),
        purpose,
        called: kept_out.user.unwrap_or_default().to_owned(),
        caller: Caller::private(),
        sip_call_id: None,
        reason: kept_out.why.words().into(),
        status: None,
    });
}

fn since_unix_epoch() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

async fn retry_spool(store: Store, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(SPOOL_RETRY) => {}
        }
        match store.retry_spool(now()).await {
            Ok(spool) => report(&spool),
            Err(error) => warn!(error = &error as &dyn std::error::Error, "the spool cannot be looked at"),
        }
    }
}

/// Says what became of recordings that waited, if there were any.
fn report(spool: &SpoolReport) {
    if *spool != SpoolReport::default() {
        let SpoolReport { deposited, discarded, waiting, quarantined } = spool;
        info!(deposited, discarded, waiting, quarantined, "recordings in the spool were looked at");
    }
}

/// Says every now and then how many tasks there are, so that a log shows whether calls leave any behind.
async fn count_tasks(mut stop: watch::Receiver<bool>) {
    loop {
        let tasks = Handle::current().metrics().num_alive_tasks();
        debug!(tasks, "the server is alive");
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(TASKS_COUNTED) => {}
        }
    }
}

async fn deliver(store: Store, mail: MailSettings, stop: watch::Receiver<bool>) {
    if let Err(error) = delivery::run(store, mail, until(stop)).await {
        error!(error = &error as &dyn std::error::Error, "no mail is delivered");
    }
}

fn calendar(config: &Config) -> Calendar {
    let jobs = &config.jobs;
    Calendar {
        expire_messages: jobs.expire_messages.schedule().clone(),
        sweep_orphans: jobs.sweep_orphans.schedule().clone(),
        warn_subscribers: jobs.warn_subscribers.schedule().clone(),
        retry_outbox: jobs.retry_outbox.schedule().clone(),
        prune_records: jobs.prune_records.schedule().clone(),
    }
}

async fn until(mut flag: watch::Receiver<bool>) {
    // A sender that is gone means that the server is being dropped.
    let _ = flag.wait_for(|flag| *flag).await;
}

async fn join(what: &str, task: JoinHandle<()>) {
    if let Err(error) = task.await {
        error!(error = &error as &dyn std::error::Error, what, "a part of the server broke off");
    }
}
