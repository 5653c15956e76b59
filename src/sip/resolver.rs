//! Asks the DNS what [`super::resolve`] wants to know.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use hickory_resolver::{
    Resolver as Hickory, TokioResolver,
    config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig, ResolverOpts},
    net::runtime::TokioRuntimeProvider,
    proto::rr::{RData, RecordType},
};
use rand::Rng as _;
use tokio::{sync::Semaphore, time::timeout};
use tracing::{debug, warn};

use super::{
    outages::Outages,
    outgoing::Outcome,
    resolve::{Answer, Naptr, Place, Question, Search, Srv, Target},
};

/// How long the search for one target may take, waiting for its turn included.
const PATIENCE: Duration = Duration::from_secs(6);
/// How long one server may take over one question, and how often it is asked.
const ATTEMPT: Duration = Duration::from_secs(1);
const ATTEMPTS: usize = 2;
/// Searches at once for names that the operator has set, and for those that callers have said; more wait for their turn. Names whose
/// servers do not answer, of which a stranger can say many, do not keep the others waiting.
const AT_ONCE: usize = 64;

/// Finds the places of targets. Clones share their cache.
#[derive(Clone)]
pub(super) struct Resolver {
    /// None when this machine has no resolver configured: then no name is found.
    inner: Option<Arc<TokioResolver>>,
    turns: Arc<Semaphore>,
    turns_of_ours: Arc<Semaphore>,
    outages: Arc<Mutex<Outages>>,
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Resolver")
    }
}

impl Resolver {
    /// A resolver that asks these servers, or those of this machine if there are none.
    pub(super) fn new(servers: &[SocketAddr]) -> Self {
        let inner = match build(servers) {
            Ok(resolver) => Some(Arc::new(resolver)),
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "host names in SIP cannot be looked up; set sip.dns_servers");
                None
            }
        };
        let turns = || Arc::new(Semaphore::new(AT_ONCE));
        Self { inner, turns: turns(), turns_of_ours: turns(), outages: Arc::default() }
    }

    /// The places of a target in the order to try them; none when nobody knows one in time. `is_ours` if the operator has set it.
    pub(super) async fn places(&self, target: Target, is_ours: bool) -> Vec<Place> {
        let turns = if is_ours { &self.turns_of_ours } else { &self.turns };
        let mut search = Search::new(target);
        let asking = async {
            let Ok(_turn) = turns.acquire().await else { return };
            while let Some(question) = search.question() {
                let answer = self.ask(question).await;
                search.answer(answer, |most| rand::rng().random_range(0..=most));
            }
        };
        if timeout(PATIENCE, asking).await.is_err() {
            debug!("a host name was not found in time");
        }
        let mut places = search.places();
        self.outages.lock().unwrap_or_else(PoisonError::into_inner).put_last(&mut places, Instant::now());
        places
    }

    /// Learns what came of a request to a place, for the order of later ones.
    pub(super) fn tried(&self, place: Place, outcome: Outcome) {
        self.outages.lock().unwrap_or_else(PoisonError::into_inner).tried(place, outcome, Instant::now());
    }

    async fn ask(&self, question: Question) -> Answer {
        match question {
            Question::Naptr(name) => Answer::Naptr(self.records(&name, RecordType::NAPTR).await.filter_map(naptr).collect()),
            Question::Srv(name) => Answer::Srv(self.records(&name, RecordType::SRV).await.filter_map(srv).collect()),
            Question::Addresses(name) => {
                let lookup = match &self.inner {
                    Some(resolver) => resolver.lookup_ip(absolute(&name)).await.ok(),
                    None => None,
                };
                Answer::Addresses(lookup.map(|lookup| lookup.iter().collect()).unwrap_or_default())
            }
        }
    }

    async fn records(&self, name: &str, kind: RecordType) -> impl Iterator<Item = RData> + use<> {
        let lookup = match &self.inner {
            Some(resolver) => resolver.lookup(absolute(name), kind).await.ok(),
            None => None,
        };
        let records: Vec<RData> = lookup.iter().flat_map(|lookup| lookup.answers()).map(|record| record.data.clone()).collect();
        records.into_iter()
    }
}

/// A name with dots is whole; one without may be completed as this machine completes names.
fn absolute(name: &str) -> String {
    if name.contains('.') && !name.ends_with('.') { format!("{name}.") } else { name.to_owned() }
}

fn build(servers: &[SocketAddr]) -> io::Result<TokioResolver> {
    let mut builder = if servers.is_empty() {
        TokioResolver::builder_tokio().map_err(io::Error::other)?
    } else {
        let servers = servers.iter().map(|server| {
            let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
                connection.port = server.port();
                connection
            });
            NameServerConfig::new(server.ip(), true, connections.into())
        });
        let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
        Hickory::builder_with_config(config, TokioRuntimeProvider::default())
    };
    let options: &mut ResolverOpts = builder.options_mut();
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    options.timeout = ATTEMPT;
    options.attempts = ATTEMPTS;
    options.cache_size = 1024;
    builder.build().map_err(io::Error::other)
}

fn naptr(record: RData) -> Option<Naptr> {
    let RData::NAPTR(record) = record else { return None };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some(Naptr {
        order: record.order,
        preference: record.preference,
        flags: text(&record.flags),
        services: text(&record.services),
        replacement: record.replacement.to_ascii(),
    })
}

fn srv(record: RData) -> Option<Srv> {
    let RData::SRV(record) = record else { return None };
    Some(Srv { priority: record.priority, weight: record.weight, port: record.port, target: record.target.to_ascii() })
}
