//! What a command works with, beside a running server or without one.

use std::path::Path;

use anyhow::Context as _;

use super::{load, start_log};
use crate::{
    config::{Config, LogSettings},
    domain::{mailbox::Mailbox, time::Timestamp},
    server,
    store::Store,
};

/// Configuration, store, and the moment the command was given.
pub struct Workplace {
    pub config: Config,
    pub store: Store,
    pub now: Timestamp,
}

impl Workplace {
    /// Reads the configuration and opens the store.
    pub async fn open(file: Option<&Path>) -> anyhow::Result<Self> {
        let config = load(file)?.config;
        // What a command does it says itself; its log is for what went wrong on the way.
        start_log(&LogSettings { level: "warn".parse()?, ..config.log.clone() })?;
        let store = server::open_store(&config).await?;
        Ok(Self { config, store, now: server::now() })
    }

    /// Says so when something is set for a tenant that no mailbox belongs to: it may be written otherwise, or come later.
    pub async fn warn_of_empty_tenant(&self, tenant: &str) -> anyhow::Result<()> {
        if !tenant.is_empty() && !self.store.has_mailboxes(tenant).await? {
            eprintln!("afterbeep: no mailbox belongs to {tenant} yet; see `afterbeep mailbox list`");
        }
        Ok(())
    }

    /// The mailbox with this number or alias.
    pub async fn mailbox(&self, tenant: &str, number: &str) -> anyhow::Result<Mailbox> {
        self.store.find_mailbox(tenant, number).await?.with_context(|| match tenant {
            "" => format!("there is no mailbox {number}; see `afterbeep mailbox list`"),
            tenant => format!("there is no mailbox {number} in {tenant}; see `afterbeep mailbox list`"),
        })
    }
}
