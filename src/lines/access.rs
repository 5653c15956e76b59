//! Follows the access lists: what changes in the database acts at once on this server, and registrations that are no longer allowed are
//! dropped.

use std::{error::Error, future::Future, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use tokio::sync::watch;
use tracing::{info, warn};

use crate::{
    domain::{
        access::{AccessPolicy, Purpose},
        time::Timestamp,
    },
    store::{Store, StoreError, access::FollowedAccess, registration::RegisteredPhone},
};

/// How often is looked whether the lists have changed.
const FOLLOWED: Duration = Duration::from_millis(500);
/// How often, after a change, registrations are looked through: again, since one that was decided by the lists before the change, here or
/// on another node, may be written after the first time.
const SWEEPS: u32 = 4;
/// How many registrations are looked at in one go.
const PAGE: u32 = 500;

/// What the lists are now, for all who decide by them.
pub type Admitted = watch::Receiver<Arc<AccessPolicy>>;

/// The access lists, as they are now and as they change.
pub struct FollowingAccess {
    store: Store,
    known: FollowedAccess,
    policy: watch::Sender<Arc<AccessPolicy>>,
    now: fn() -> Timestamp,
}

impl FollowingAccess {
    /// Reads the lists, before anybody is let in.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn start(store: Store, now: fn() -> Timestamp) -> Result<(Self, Admitted), StoreError> {
        let mut known = FollowedAccess::default();
        store.follow_access(&mut known).await?;
        let (policy, admitted) = watch::channel(Arc::new(known.policy.clone()));
        Ok((Self { store, known, policy, now }, admitted))
    }

    /// Looks for changes until `stop` is ready. While the database is away, what is known stays in force.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut failing = false;
        // What changed while no server ran.
        let mut sweeps = 1;
        loop {
            match self.follow(&mut sweeps).await {
                Ok(()) => failing = false,
                Err(error) if failing => drop(error),
                Err(error) => {
                    failing = true;
                    warn!(error = &error as &dyn Error, "changes of the access lists cannot be followed");
                }
            }
            tokio::select! {
                () = &mut stop => return,
                () = tokio::time::sleep(FOLLOWED) => {}
            }
        }
    }

    async fn follow(&mut self, sweeps: &mut u32) -> Result<(), StoreError> {
        if self.store.follow_access(&mut self.known).await? {
            info!("the access lists have changed");
            self.policy.send_replace(Arc::new(self.known.policy.clone()));
            *sweeps = SWEEPS;
        }
        if *sweeps > 0 {
            let dropped = self.drop_registrations().await?;
            if dropped > 0 {
                info!(dropped, "registrations were dropped that the access lists do not allow any more");
            }
            *sweeps -= 1;
        }
        Ok(())
    }

    /// Drops the registrations of phones that might not register now. Answers how many.
    async fn drop_registrations(&self) -> Result<u32, StoreError> {
        let policy = &self.known.policy;
        if policy.is_open(Purpose::Register) {
            return Ok(0);
        }
        let now = (self.now)();
        let mut dropped = 0;
        let mut last = None;
        loop {
            let page = self.store.registered_phones(last.as_ref(), PAGE, now).await?;
            for phone in page.iter().filter(|phone| !may_register(policy, phone)) {
                dropped += u32::from(self.store.drop_registration(&phone.mailbox, &phone.contact, now).await?);
            }
            match page.into_iter().next_back() {
                Some(phone) => last = Some(phone),
                None => return Ok(dropped),
            }
        }
    }
}

/// Whether the lists let a phone register that has.
#[must_use]
pub fn may_register(policy: &AccessPolicy, phone: &RegisteredPhone) -> bool {
    // What is kept was written by us; what cannot be read is nobody's address.
    let remote = phone.remote.parse::<SocketAddr>();
    remote.is_ok_and(|remote| policy.admits(Purpose::Register, &phone.tenant, Some(&phone.mailbox), remote.ip()))
}
