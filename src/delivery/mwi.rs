//! Lights lamps: tells subscribers, registered phones and a proxy of the counts of mailboxes (RFC 3842).
//!
//! Woken by the store when counts change or somebody subscribes, and by a timer for other processes' changes and for what is due
//! later. Counts are read when a NOTIFY is sent, never before, and nothing is sent when they cannot be read. One NOTIFY at a time is
//! under way to a listener. What its outcome means is decided by [`crate::sip::mwi`]; everything here waits.

use std::{
    error::Error,
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::Utc;
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    domain::{mailbox::Mailbox, message::Counts, time::Timestamp},
    sip::{
        flow::Transport,
        handle::{LONGEST_SEND, OutgoingHandle},
        mwi::{self, State, Summary, Verdict, Watcher},
        peer::{Met, Peer},
        wire::{Host, NameAddr, SipUri},
    },
    store::{
        Store, StoreError,
        registration::Registration,
        subscription::{LastReason, Listener, Notice, Settled},
    },
};

/// How often the store is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// How long changes are collected after some were looked at, so that a burst of them costs the database little.
const BREATH: Duration = Duration::from_millis(100);
/// NOTIFYs under way at once, to a proxy, and to all others: phones that are switched off hold one each for 32 seconds.
const AT_ONCE_TO_PROXY: usize = 256;
const AT_ONCE: usize = 1024;
/// How long a notice is ours: longer than a NOTIFY can be under way.
const LEASE: Duration = Duration::from_mins(1);
const _: () = assert!(LONGEST_SEND.as_secs() < LEASE.as_secs());
/// How often this node says that it is alive, and how long it is believed.
const HEARTBEAT: Duration = Duration::from_secs(10);
const BELIEVED: Duration = Duration::from_secs(35);
/// How long NOTIFYs under way may go on when the server stops.
const GRACE: Duration = Duration::from_secs(2);
/// How often the last NOTIFY of a subscription, and one to a phone that has not asked, is tried.
const FEW_ATTEMPTS: u32 = 3;
/// When a notice is looked at again whose counts could not be read.
const UNREADABLE: Duration = Duration::from_secs(5);

/// Whom to tell, beside subscribers and phones.
#[derive(Clone, Debug)]
pub struct MwiSettings {
    /// A proxy that is told of every change of every mailbox.
    pub proxy: Option<SipUri>,
    /// Whether registered phones are told that have not subscribed.
    pub phones: bool,
}

/// Tells everybody until `shutdown` is ready.
pub async fn run(store: Store, outgoing: OutgoingHandle, settings: MwiSettings, shutdown: impl Future<Output = ()>) {
    let proxy = settings.proxy.as_ref().map(ToString::to_string);
    let notifier = Arc::new(Notifier { store, outgoing, settings });
    let mut rounds = Rounds { proxy, begun: false, alive_at: None, spread_at: None, database_fails: false };
    let (mut under_way, mut to_proxy) = (JoinSet::new(), JoinSet::new());
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let more = match rounds.look(&notifier, &mut under_way, &mut to_proxy).await {
            Ok(more) => {
                rounds.database_fails = false;
                more
            }
            Err(error) => {
                // Once, not twice a second until it is back.
                if !std::mem::replace(&mut rounds.database_fails, true) {
                    tracing::error!(error = &error as &dyn Error, "changed counts cannot be read; lamps wait");
                }
                false
            }
        };
        if more {
            tokio::task::yield_now().await;
            continue;
        }
        let pause = async {
            tokio::select! {
                () = notifier.store.lamps_changed().notified() => {}
                () = sleep(LOOK) => {}
            }
            // Not sooner than a breath after the last look.
            let since = rounds.spread_at.map(|at: Instant| at.elapsed()).unwrap_or(BREATH);
            sleep(BREATH.saturating_sub(since)).await;
        };
        let mut settled = Vec::new();
        tokio::select! {
            Some(done) = under_way.join_next(), if !under_way.is_empty() => settled.extend(finished(done)),
            Some(done) = to_proxy.join_next(), if !to_proxy.is_empty() => settled.extend(finished(done)),
            () = pause => {}
            () = &mut shutdown => break,
        }
        while let Some(done) = under_way.try_join_next() {
            settled.extend(finished(done));
        }
        while let Some(done) = to_proxy.try_join_next() {
            settled.extend(finished(done));
        }
        notifier.settle(&settled).await;
    }
    let mut settled = Vec::new();
    let _ = timeout(GRACE, async {
        for set in [&mut under_way, &mut to_proxy] {
            while let Some(done) = set.join_next().await {
                settled.extend(finished(done));
            }
        }
    })
    .await;
    notifier.settle(&settled).await;
}

type Done = (Notice, Settled);

/// What is remembered from one look at the store to the next.
struct Rounds {
    proxy: Option<String>,
    begun: bool,
    alive_at: Option<Instant>,
    spread_at: Option<Instant>,
    database_fails: bool,
}

impl Rounds {
    /// Takes from the store what is to be done and begins it. Answers whether there may be more right now.
    async fn look(
        &mut self,
        notifier: &Arc<Notifier>,
        under_way: &mut JoinSet<Done>,
        to_proxy: &mut JoinSet<Done>,
    ) -> Result<bool, StoreError> {
        let store = &notifier.store;
        if self.alive_at.is_none_or(|at| at.elapsed() >= HEARTBEAT) {
            store.notifier_lives(now().after(BELIEVED)).await?;
            self.alive_at = Some(Instant::now());
        }
        if !self.begun {
            store.begin_notifying(self.proxy.as_deref(), now()).await?;
            self.begun = true;
        }
        self.spread_at = Some(Instant::now());
        let mut more = store.spread_changes(self.proxy.as_deref(), now()).await?;
        for (is_proxy, set, most) in [(false, under_way, AT_ONCE), (true, to_proxy, AT_ONCE_TO_PROXY)] {
            let free = most.saturating_sub(set.len());
            if free == 0 || (is_proxy && self.proxy.is_none()) {
                continue;
            }
            let notices = store.claim_notices(is_proxy, free.min(256), LEASE, now()).await?;
            more |= !notices.is_empty();
            for notice in notices {
                set.spawn(notifier.clone().tell(notice));
            }
        }
        Ok(more)
    }
}

/// What a NOTIFY is made of.
struct Prepared {
    /// Whether there is such a mailbox, and it is in use.
    is_there: bool,
    summary: Summary,
    watcher: Watcher,
}

struct Notifier {
    store: Store,
    outgoing: OutgoingHandle,
    settings: MwiSettings,
}

impl Notifier {
    /// Sends one NOTIFY and says what is to become of its notice.
    async fn tell(self: Arc<Self>, notice: Notice) -> Done {
        let prepared = match self.prepare(&notice).await {
            Ok(prepared) => prepared,
            Err(error) => {
                tracing::warn!(mailbox.id = %notice.mailbox, error = &error as &dyn Error,
                    "counts could not be read; nobody is told of them for now");
                return (notice, Settled::Again { at: now().after(UNREADABLE) });
            }
        };
        let Prepared { is_there, summary, watcher } = match prepared {
            Ok(prepared) => prepared,
            Err(settled) => return (notice, settled),
        };
        let is_gone = !is_there || notice.last == Some(LastReason::NoResource);
        let sent_at = now();
        let state = match (notice.listener, notice.last) {
            (Listener::Phone | Listener::Proxy, _) => State::Unsolicited,
            (Listener::Subscriber, _) if is_gone => State::NoResource,
            (Listener::Subscriber, Some(LastReason::Deactivated)) => State::Deactivated,
            (Listener::Subscriber, Some(_)) => State::TimedOut,
            (Listener::Subscriber, None) => State::Active(notice.expires_at.since(sent_at)),
        };
        let is_last = notice.last.is_some() || (is_gone && notice.listener == Listener::Subscriber);
        let outcome = self.outgoing.send(watcher.notify(notice.sequence, state, summary)).await;
        let attempt = notice.attempts.saturating_add(1);
        let verdict = match notice.listener {
            Listener::Subscriber => mwi::verdict(outcome, attempt, rand::random()),
            Listener::Phone | Listener::Proxy => mwi::unsolicited_verdict(outcome, attempt, rand::random()),
        };
        tracing::debug!(mailbox.id = %notice.mailbox, listener = ?notice.listener, %state, ?outcome, ?verdict, "sent a NOTIFY");
        let settled = match verdict {
            Verdict::Taken | Verdict::Over if is_last => Settled::Over,
            Verdict::Taken => Settled::Taken { quiet_until: now().after(mwi::PAUSE) },
            Verdict::Over => Settled::Over,
            Verdict::Again(_) if is_last && attempt >= FEW_ATTEMPTS => Settled::Over,
            // Not all phones take what they have not asked for. It is told of the next change, or when it registers again.
            Verdict::Again(_) if notice.listener == Listener::Phone && (mwi::ends_usage(outcome) || attempt >= FEW_ATTEMPTS) => {
                Settled::Taken { quiet_until: now().after(mwi::PAUSE) }
            }
            Verdict::Again(pause) => Settled::Again { at: now().after(pause) },
        };
        (notice, settled)
    }

    /// Whom a notice is for and what is to be said, or, when nothing is, what becomes of it. The counts are read last: nothing older
    /// than this moment is told.
    async fn prepare(&self, notice: &Notice) -> Result<Result<Prepared, Settled>, StoreError> {
        let mailbox = self.store.mailbox(&notice.mailbox).await?;
        let watcher = match (notice.listener, &mailbox) {
            (Listener::Subscriber, _) => match Watcher::from_text(&notice.dialog) {
                Ok(watcher) => watcher,
                Err(_) => {
                    tracing::error!(mailbox.id = %notice.mailbox, "a subscription in the database cannot be read; it is ended");
                    return Ok(Err(Settled::Over));
                }
            },
            // Its registrations went with it.
            (Listener::Phone, None) => return Ok(Err(Settled::Over)),
            (Listener::Phone, Some(mailbox)) => match self.phone(notice, mailbox).await? {
                Ok(watcher) => watcher,
                Err(settled) => return Ok(Err(settled)),
            },
            (Listener::Proxy, mailbox) => {
                let address = mailbox.as_ref().map(|it| (it.number.as_str(), it.tenant.as_str()));
                match (&self.settings.proxy, address.or_else(|| notice.dialog.split_once(' '))) {
                    (Some(proxy), Some((number, tenant))) => towards_proxy(proxy, notice, number, tenant),
                    _ => return Ok(Err(Settled::Over)),
                }
            }
        };
        let in_use = mailbox.filter(|mailbox| mailbox.enabled);
        let summary = match &in_use {
            Some(mailbox) => {
                let Counts { new, saved: old, urgent_new, urgent_saved: urgent_old } =
                    self.store.lamp_counts(&mailbox.id, now()).await?;
                Summary { new, old, urgent_new, urgent_old }
            }
            // Nobody can listen to anything there.
            None => Summary::default(),
        };
        Ok(Ok(Prepared { is_there: in_use.is_some(), summary, watcher }))
    }

    /// A registered phone, if it is still registered and has not subscribed itself.
    async fn phone(&self, notice: &Notice, mailbox: &Mailbox) -> Result<Result<Watcher, Settled>, StoreError> {
        let unneeded = Settled::Taken { quiet_until: now() };
        if !self.settings.phones {
            return Ok(Err(unneeded));
        }
        let registrations = self.store.registrations(&notice.mailbox, now()).await?;
        let registration = registrations.iter().find(|known| Some(&known.contact) == notice.contact.as_ref());
        // Gone, or kept by another version that wrote differently.
        let Some(phone) = registration.and_then(|registration| towards_phone(registration, notice, mailbox)) else {
            return Ok(Err(Settled::Over));
        };
        let subscribers = self.store.subscribers(&notice.mailbox, now()).await?;
        let has_subscribed = subscribers.iter().filter_map(|text| Watcher::from_text(text).ok()).any(|it| it.is_at(&phone));
        Ok(if has_subscribed { Err(unneeded) } else { Ok(phone) })
    }

    async fn settle(&self, settled: &[Done]) {
        if settled.is_empty() {
            return;
        }
        if let Err(error) = self.store.settle_notices(settled).await {
            tracing::warn!(
                notices = settled.len(),
                error = &error as &dyn Error,
                "what became of NOTIFYs could not be noted; they are repeated when their leases are over"
            );
        }
    }
}

/// The proxy, told of one mailbox: who that is stands in the Request-URI and in To.
fn towards_proxy(proxy: &SipUri, notice: &Notice, number: &str, tenant: &str) -> Watcher {
    let target = SipUri { user: SipUri::sip(Some(number), host(tenant, proxy), None).user, ..proxy.clone() };
    unasked(target, Vec::new(), None, notice, number, tenant)
}

/// A registered phone.
fn towards_phone(registration: &Registration, notice: &Notice, mailbox: &Mailbox) -> Option<Watcher> {
    let way = &registration.way;
    let met = Met {
        transport: Transport::from_text(&way.transport)?,
        local: way.local.parse().ok()?,
        remote: way.remote.parse().ok()?,
        is_direct: way.is_direct,
    };
    let routes = registration.path.iter().map(|proxy| NameAddr::parse(proxy).ok()).collect::<Option<_>>()?;
    let target = SipUri::parse(&registration.contact).ok()?;
    Some(unasked(target, routes, Some(met), notice, mailbox.number.as_str(), &mailbox.tenant))
}

/// Somebody who is told without having asked, in no dialog: a Call-ID of its own each, with a CSeq that rises.
fn unasked(target: SipUri, routes: Vec<NameAddr>, met: Option<Met>, notice: &Notice, number: &str, tenant: &str) -> Watcher {
    let account = SipUri::sip(Some(number), host(tenant, &target), None);
    let address = NameAddr::new(account.clone());
    let peer = Peer {
        call_id: match met {
            None => format!("mwi-{}", notice.mailbox),
            Some(met) => format!("mwi-{}-{}", notice.mailbox, met.remote),
        },
        local: format!("{address};tag={:016x}", rand::random::<u64>()),
        remote: address.to_string(),
        target,
        routes,
        met,
    };
    Watcher { peer, event_id: None, account: Some(account.to_string()) }
}

/// The host of a mailbox's address: its tenant, else where it is told to.
fn host(tenant: &str, target: &SipUri) -> Host {
    match &target.host {
        Some(host) if tenant.is_empty() => host.clone(),
        _ => Host::Name(tenant.to_owned()),
    }
}

fn finished(done: Result<Done, tokio::task::JoinError>) -> Option<Done> {
    done.inspect_err(|error| {
        tracing::error!(error = error as &dyn Error, "a NOTIFY failed in our own code; it is sent again when its lease is over");
    })
    .ok()
}

fn now() -> Timestamp {
    Utc::now().into()
}
