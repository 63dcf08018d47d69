//! Leases: which of several processes may do what, until when, and the token that proves it to whoever stores the effect.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use telesift_schemas::{Generation, Timestamp, TopicPartition};

use crate::{
    catalog::{Error, Result},
    ledger::StageKey,
};

/// Leases by name, and the workers that share them.
///
/// Time is the clock of whoever keeps the leases, never that of a worker. A token of a name only grows: an effect that
/// carries an older one comes from a worker whose lease went to another meanwhile, and is refused.
#[async_trait]
pub trait Leases: Send + Sync + 'static {
    /// Takes the lease `name` for `owner`, for `ttl` from now, if it is free: never taken, given back or expired. `None`
    /// if another holds it. Who holds it already gets the lease he has: an answer may have been lost.
    async fn acquire(&self, name: &str, owner: &str, ttl: Duration) -> Result<Option<Lease>>;

    /// Prolongs a lease: it ends `ttl` from now.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] if it expired or another took it.
    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<()>;

    /// Gives a lease back, so that another need not wait for its end. One that is lost already stays with whom it went to.
    async fn release(&self, lease: &Lease) -> Result<()>;

    /// Whether the lease behind `fence` is still held.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] if it expired or another took it.
    async fn check(&self, fence: &Fence) -> Result<()>;

    /// The leases that are held now, by name.
    async fn held_leases(&self) -> Result<Vec<Lease>>;

    /// Notes that a worker is alive; it counts as such for `ttl` from now. The first note says since when.
    async fn report_worker(&self, id: &str, roles: &[String], ttl: Duration) -> Result<()>;

    /// Takes a worker off the list.
    async fn retire_worker(&self, id: &str) -> Result<()>;

    /// The workers that are alive, the longest-lived first.
    async fn live_workers(&self) -> Result<Vec<Worker>>;
}

/// The lease of the message store's one writer: the index, the labels, the upkeep.
pub const STORE: &str = "store";

/// The lease of the stages of every generation but the first, and of the replays that fill them.
pub const GENERATIONS: &str = "generations";

/// The lease of a stage on one partition of its input.
pub fn of_partition(stage: &str, input: &TopicPartition) -> String {
    format!("{stage}/{}", input.partition)
}

/// The lease of the one owner of what is known: the units that wait, those that are asked for, the atoms.
pub const KNOWLEDGE: &str = "extract";

/// The stages that run under it.
const KNOWERS: [&str; 6] = [
    "unit-catalog",
    "labelled-units",
    "chat-settings",
    "extract",
    "knowledge",
    "atom-index",
];

/// The stages that write to the message store.
const WRITERS: [&str; 3] = ["index", "labels", "embed"];

/// The leases one of which a stage runs under on a partition: that of other generations, of the store's writer, of what is
/// known, or its own for this partition or for all.
pub fn of_stage(key: &StageKey) -> Vec<String> {
    let stage = key.stage.as_str();
    if Generation::is_later(&key.stage) {
        return vec![GENERATIONS.to_owned()];
    }
    match (WRITERS.contains(&stage), KNOWERS.contains(&stage)) {
        (true, _) => vec![STORE.to_owned()],
        (_, true) => vec![KNOWLEDGE.to_owned()],
        _ => vec![of_partition(&key.stage, &key.input), key.stage.clone()],
    }
}

/// A lease somebody holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// What it is for, such as `screen/3`.
    pub name: String,
    /// Who holds it: a worker's id, unique to a run of its process.
    pub owner: String,
    /// Its fencing token: greater than that of every holder before. 0 where there is nobody to be fenced off from.
    pub token: u64,
    /// When this holder took it.
    pub since: Timestamp,
}

impl Lease {
    /// What effects under this lease carry.
    pub fn fence(&self) -> Fence {
        match self.token {
            0 => Fence::open(),
            token => Fence(Some((Arc::from(self.name.as_str()), token))),
        }
    }
}

/// The name and token of a lease, as an effect carries them to where it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fence(Option<(Arc<str>, u64)>);

impl Fence {
    /// Lets everything through: for a process that is alone, because its data directory is locked.
    pub fn open() -> Self {
        Fence(None)
    }

    /// Name and token; `None` if it is open.
    pub fn lease(&self) -> Option<(&str, u64)> {
        self.0.as_ref().map(|(name, token)| (&**name, *token))
    }

    /// The error of an effect that comes too late.
    pub fn lost(&self) -> Error {
        let name = self.lease().map_or("", |(name, _)| name);
        Error::LeaseLost {
            name: name.to_owned(),
        }
    }
}

/// A stretch of time in which one worker holds one lease, as what runs under it sees it.
#[derive(Clone)]
pub struct Term {
    fence: Fence,
    leases: Arc<dyn Leases>,
}

impl Term {
    /// The term of `fence`, kept by `leases`.
    pub fn new(fence: Fence, leases: Arc<dyn Leases>) -> Self {
        Term { fence, leases }
    }

    /// What effects under this lease carry.
    pub fn fence(&self) -> &Fence {
        &self.fence
    }

    /// Asks whether the lease is still held; to be called right before an effect whose store cannot refuse a stale token.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] if not.
    pub async fn check(&self) -> Result<()> {
        match self.fence.lease() {
            None => Ok(()),
            Some(_) => self.leases.check(&self.fence).await,
        }
    }
}

impl std::fmt::Debug for Term {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Term").field(&self.fence).finish()
    }
}

/// A worker that is alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    /// Its id, unique to a run of its process.
    pub id: String,
    /// What it takes part in, such as `screen`.
    pub roles: Vec<String>,
    /// When it was first heard of.
    pub since: Timestamp,
}

/// The leases of a process that has everything to itself: always given, never lost, nothing to prove.
#[derive(Clone, Copy, Debug, Default)]
pub struct SoleLeases;

#[async_trait]
impl Leases for SoleLeases {
    async fn acquire(&self, name: &str, owner: &str, _ttl: Duration) -> Result<Option<Lease>> {
        Ok(Some(Lease {
            name: name.to_owned(),
            owner: owner.to_owned(),
            token: 0,
            since: Timestamp::now(),
        }))
    }

    async fn renew(&self, _lease: &Lease, _ttl: Duration) -> Result<()> {
        Ok(())
    }

    async fn release(&self, _lease: &Lease) -> Result<()> {
        Ok(())
    }

    async fn check(&self, _fence: &Fence) -> Result<()> {
        Ok(())
    }

    async fn held_leases(&self) -> Result<Vec<Lease>> {
        Ok(Vec::new())
    }

    async fn report_worker(&self, _id: &str, _roles: &[String], _ttl: Duration) -> Result<()> {
        Ok(())
    }

    async fn retire_worker(&self, _id: &str) -> Result<()> {
        Ok(())
    }

    async fn live_workers(&self) -> Result<Vec<Worker>> {
        Ok(Vec::new())
    }
}
