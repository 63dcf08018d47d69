//! Duties come in, each of which may run in one process only; what is to run here does, while its lease is held.
//!
//! One idea for one machine and for many: *run this while I hold that lease*. A process that is alone is given every
//! lease at once and never loses one ([`SoleLeases`](telesift_ports::leases::SoleLeases)); of many, each takes its fair
//! share and takes over what a dead one leaves.

mod duty;
mod share;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use telesift_ports::{Leases, catalog, leases::Lease};
use tokio::{
    task::{Id, JoinError, JoinSet},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

pub use duty::{Duty, DutyError, Held, Work, together};
use duty::{Ended, hold};
use share::quota;

/// Who a worker is, and how patient.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// Its id, unique to this run of the process.
    pub id: String,
    /// What it takes part in; the duties of other roles are left to others.
    pub roles: BTreeSet<&'static str>,
    /// How long a lease lasts without being prolonged: so long does the work of one that died lie. A third of it passes
    /// between two renewals, a sixth between two looks at what is free.
    pub lease: Duration,
}

/// The duties of one process.
pub struct Crew {
    config: WorkerConfig,
    leases: Arc<dyn Leases>,
    duties: Vec<Arc<Duty>>,
}

impl Crew {
    /// A crew without duties.
    pub fn new(config: WorkerConfig, leases: Arc<dyn Leases>) -> Self {
        Crew {
            config,
            leases,
            duties: Vec::new(),
        }
    }

    /// Adds a duty of `role`, to be run under the lease `lease`. `group` names the duties that are shared out fairly
    /// among the workers of that role, such as all partitions of a stage. `run` is called each time the lease is taken;
    /// what it gives must end soon once [`Held::stop`] is cancelled, and may be dropped anywhere once the lease is lost.
    pub fn add<F>(
        &mut self,
        role: &'static str,
        group: &'static str,
        lease: impl Into<String>,
        run: impl Fn(Held) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = Result<(), DutyError>> + Send + 'static,
    {
        if self.config.roles.contains(role) {
            let duty = Duty::new(role, Some(group), lease.into(), run);
            self.duties.push(Arc::new(duty));
        }
    }

    /// Adds a duty that only this worker has, such as files on its disk to be read.
    pub fn add_own<F>(
        &mut self,
        role: &'static str,
        lease: impl Into<String>,
        run: impl Fn(Held) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = Result<(), DutyError>> + Send + 'static,
    {
        if self.config.roles.contains(role) {
            let duty = Duty::new(role, None, lease.into(), run);
            self.duties.push(Arc::new(duty));
        }
    }

    /// Runs the share of this process until `stop`; then everything ends and is given back.
    ///
    /// # Errors
    /// The first duty that failed in a way no other worker mends; everything else is stopped by then.
    pub async fn run(self, stop: CancellationToken) -> Result<(), DutyError> {
        let mut shift = Shift {
            tasks: JoinSet::new(),
            running: BTreeMap::new(),
            crew: self,
        };
        let outcome = shift.work(&stop).await;
        shift.end().await;
        outcome
    }
}

/// What of the crew's duties is under way here.
struct Shift {
    crew: Crew,
    tasks: JoinSet<Ended>,
    /// By lease.
    running: BTreeMap<String, Running>,
}

struct Running {
    task: Id,
    group: Option<&'static str>,
    stop: CancellationToken,
}

impl Shift {
    async fn work(&mut self, stop: &CancellationToken) -> Result<(), DutyError> {
        let every = self.crew.config.lease / 6;
        loop {
            let looked = Instant::now();
            if let Err(error) = self.share_out().await {
                tracing::warn!(%error, "the leases cannot be read; what is held goes on while it may");
            }
            loop {
                tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    Some(ended) = self.tasks.join_next() => self.note_end(ended, stop)?,
                    () = tokio::time::sleep_until(looked + every) => break,
                }
            }
        }
    }

    /// Reports this worker, gives up what is above its share, and takes what is free below it.
    async fn share_out(&mut self) -> catalog::Result<()> {
        let (leases, config) = (self.crew.leases.clone(), self.crew.config.clone());
        let roles: Vec<String> = config.roles.iter().map(|r| (*r).to_owned()).collect();
        leases
            .report_worker(&config.id, &roles, config.lease)
            .await?;
        let workers = leases.live_workers().await?;
        let taken: BTreeSet<String> = leases
            .held_leases()
            .await?
            .into_iter()
            .map(|l| l.name)
            .collect();
        for (group, duties) in groups(&self.crew.duties) {
            let quota = match group {
                Some(_) => quota(duties.len(), &config.id, duties[0].role, &workers),
                None => duties.len(),
            };
            self.give_up(group, quota);
            let n_held = self.n_held(group);
            let free = duties
                .into_iter()
                .filter(|d| !taken.contains(&d.lease) && !self.running.contains_key(&d.lease));
            let free: Vec<_> = free.collect();
            let mut n_missing = quota.saturating_sub(n_held);
            for duty in free {
                if n_missing == 0 {
                    break;
                }
                let asked = Instant::now();
                let lease = leases
                    .acquire(&duty.lease, &config.id, config.lease)
                    .await?;
                if let Some(lease) = lease {
                    self.begin(duty, lease, asked);
                    n_missing -= 1;
                }
            }
        }
        Ok(())
    }

    fn n_held(&self, group: Option<&str>) -> usize {
        self.running.values().filter(|r| r.group == group).count()
    }

    /// Asks the last of a group's duties to end until `quota` are left.
    fn give_up(&self, group: Option<&str>, quota: usize) {
        let mine = self.running.iter().filter(|(_, r)| r.group == group);
        for (lease, running) in mine.skip(quota) {
            if !running.stop.is_cancelled() {
                tracing::info!(lease, "left to another worker");
                running.stop.cancel();
            }
        }
    }

    fn begin(&mut self, duty: Arc<Duty>, lease: Lease, asked: Instant) {
        tracing::info!(lease = lease.name, token = lease.token, "lease taken");
        let stop = CancellationToken::new();
        let (name, group) = (lease.name.clone(), duty.group);
        let task = self.tasks.spawn(hold(
            duty,
            lease,
            self.crew.leases.clone(),
            self.crew.config.lease,
            asked,
            stop.clone(),
        ));
        let running = Running {
            task: task.id(),
            group,
            stop,
        };
        self.running.insert(name, running);
    }

    fn note_end(
        &mut self,
        ended: Result<Ended, JoinError>,
        stop: &CancellationToken,
    ) -> Result<(), DutyError> {
        let ended = ended.unwrap_or_else(|panic| {
            let lease = self.running.iter().find(|(_, r)| r.task == panic.id());
            let lease = lease.map_or("?", |(lease, _)| lease).to_owned();
            Ended::failed(lease, DutyError::Panicked(panic.to_string()))
        });
        let running = self.running.remove(&ended.lease);
        let was_asked = stop.is_cancelled() || running.is_some_and(|r| r.stop.is_cancelled());
        match ended.outcome {
            Ok(()) if !was_asked => Err(DutyError::EndedByItself(ended.lease)),
            Ok(()) => Ok(()),
            Err(error) if error.is_handover() && !ended.is_alone => {
                tracing::warn!(lease = ended.lease, %error, "stopped; whoever holds the lease goes on");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Ends everything and gives it back.
    async fn end(mut self) {
        for running in self.running.values() {
            running.stop.cancel();
        }
        while self.tasks.join_next().await.is_some() {}
        let (leases, config) = (&self.crew.leases, &self.crew.config);
        if let Err(error) = leases.retire_worker(&config.id).await {
            tracing::debug!(%error, "this worker counts as alive until its time is over");
        }
    }
}

/// The duties by group, in the order they were added.
fn groups(duties: &[Arc<Duty>]) -> BTreeMap<Option<&'static str>, Vec<Arc<Duty>>> {
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for duty in duties {
        groups.entry(duty.group).or_default().push(duty.clone());
    }
    groups
}
