//! Leases in memory, on a clock of one's choice.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use telesift_schemas::Timestamp;

use crate::{
    Clock, SystemClock,
    catalog::Result,
    leases::{Fence, Lease, Leases, Worker},
    memory::MemoryCatalog,
};

/// The leases of a [`MemoryCatalog`].
pub(super) struct LeaseTable {
    pub(super) clock: Arc<dyn Clock>,
    rows: Mutex<Rows>,
}

#[derive(Default)]
struct Rows {
    leases: BTreeMap<String, (Lease, Timestamp)>,
    workers: BTreeMap<String, (Worker, Timestamp)>,
}

impl Default for LeaseTable {
    fn default() -> Self {
        LeaseTable {
            clock: Arc::new(SystemClock),
            rows: Mutex::default(),
        }
    }
}

impl LeaseTable {
    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an effect may pass.
    pub(super) fn check(&self, fence: &Fence) -> Result<()> {
        let Some((name, token)) = fence.lease() else {
            return Ok(());
        };
        let now = self.clock.now();
        match self.rows().leases.get(name) {
            Some((lease, ends)) if lease.token == token && *ends > now => Ok(()),
            _ => Err(fence.lost()),
        }
    }
}

/// Saturates: a lease for ever is a long one.
fn after(now: Timestamp, ttl: Duration) -> Timestamp {
    let ms = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(now.as_millisecond().saturating_add(ms)).unwrap_or(Timestamp::MAX)
}

#[async_trait]
impl Leases for MemoryCatalog {
    async fn acquire(&self, name: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>> {
        let now = self.leases.clock.now();
        let mut rows = self.leases.rows();
        let token = match rows.leases.get(name) {
            Some((held, ends)) if *ends > now => {
                return Ok((held.owner == owner).then(|| held.clone()));
            }
            Some((last, _)) => last.token + 1,
            None => 1,
        };
        let lease = Lease {
            name: name.to_owned(),
            owner: owner.to_owned(),
            token,
            since: now,
        };
        rows.leases
            .insert(name.to_owned(), (lease.clone(), after(now, ttl)));
        Ok(Some(lease))
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<()> {
        let now = self.leases.clock.now();
        match self.leases.rows().leases.get_mut(&lease.name) {
            Some((held, ends)) if held.token == lease.token && *ends > now => {
                *ends = after(now, ttl);
                Ok(())
            }
            _ => Err(lease.fence().lost()),
        }
    }

    async fn release(&self, lease: &Lease) -> Result<()> {
        if let Some((held, ends)) = self.leases.rows().leases.get_mut(&lease.name)
            && held.token == lease.token
        {
            *ends = Timestamp::MIN;
        }
        Ok(())
    }

    async fn check(&self, fence: &Fence) -> Result<()> {
        self.leases.check(fence)
    }

    async fn held_leases(&self) -> Result<Vec<Lease>> {
        let now = self.leases.clock.now();
        let rows = self.leases.rows();
        let held = rows.leases.values().filter(|(_, ends)| *ends > now);
        Ok(held.map(|(lease, _)| lease.clone()).collect())
    }

    async fn report_worker(&self, id: &str, roles: &[String], ttl: Duration) -> Result<()> {
        let now = self.leases.clock.now();
        let mut rows = self.leases.rows();
        let known = rows.workers.get(id).map(|(worker, _)| worker.since);
        let worker = Worker {
            id: id.to_owned(),
            roles: roles.to_vec(),
            since: known.unwrap_or(now),
        };
        rows.workers
            .insert(id.to_owned(), (worker, after(now, ttl)));
        Ok(())
    }

    async fn retire_worker(&self, id: &str) -> Result<()> {
        self.leases.rows().workers.remove(id);
        Ok(())
    }

    async fn live_workers(&self) -> Result<Vec<Worker>> {
        let now = self.leases.clock.now();
        let rows = self.leases.rows();
        let live = rows.workers.values().filter(|(_, ends)| *ends > now);
        let mut live: Vec<Worker> = live.map(|(worker, _)| worker.clone()).collect();
        live.sort_by(|a, b| (a.since, &a.id).cmp(&(b.since, &b.id)));
        Ok(live)
    }
}
