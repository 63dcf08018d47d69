//! The ledger: where a stage stands in its input and what became of everything before that.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use telesift_schemas::{Offset, TopicPartition};

/// Which stage, on which partition.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StageKey {
    /// The stage, such as `screen`; a replay's is `screen-g2`.
    pub stage: String,
    /// Its input.
    pub input: TopicPartition,
}

impl StageKey {
    /// The key under which a log keeps it: `stage/<stage>/<topic>/<partition>`.
    pub fn state_key(&self) -> String {
        format!(
            "stage/{}/{}/{}",
            self.stage, self.input.topic, self.input.partition
        )
    }

    /// The prefix all state keys of [`StageKey::state_key`] share.
    pub const STATE_PREFIX: &str = "stage/";

    /// Reads [`StageKey::state_key`] back.
    pub fn from_state_key(key: &str) -> Option<Self> {
        let (rest, partition) = key.strip_prefix(Self::STATE_PREFIX)?.rsplit_once('/')?;
        let (stage, topic) = rest.rsplit_once('/')?;
        Some(StageKey {
            stage: stage.to_owned(),
            input: TopicPartition::new(
                telesift_schemas::Topic::new(topic),
                telesift_schemas::PartitionId(partition.parse().ok()?),
            ),
        })
    }
}

/// Position and counters of a stage on one partition; always written together, with or after the effect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageState {
    /// The next input offset to read.
    pub next: Offset,
    /// What became of the inputs before `next`.
    #[serde(flatten)]
    pub counters: Counters,
}

/// Conservation: `received = emitted + skipped + dead_lettered` at every commit; what is in flight is pending.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Inputs taken.
    pub received: u64,
    /// Inputs whose effect is stored.
    pub emitted: u64,
    /// Inputs without an effect, by reason.
    #[serde(default)]
    pub skipped: BTreeMap<String, u64>,
    /// Inputs given up on.
    pub dead_lettered: u64,
    /// Inputs that succeeded after at least one retry; a part of `emitted`.
    pub retried_ok: u64,
}

impl Counters {
    /// Counts one input skipped for `reason`.
    pub fn skip(&mut self, reason: &str) {
        *self.skipped.entry(reason.to_owned()).or_default() += 1;
    }

    /// Inputs taken whose fate is not known yet; 0 at every commit.
    pub fn pending(&self) -> u64 {
        self.received
            .saturating_sub(self.emitted + self.skipped.values().sum::<u64>() + self.dead_lettered)
    }
}

impl std::ops::AddAssign<&Counters> for Counters {
    fn add_assign(&mut self, other: &Counters) {
        self.received += other.received;
        self.emitted += other.emitted;
        self.dead_lettered += other.dead_lettered;
        self.retried_ok += other.retried_ok;
        for (reason, n) in &other.skipped {
            *self.skipped.entry(reason.clone()).or_default() += n;
        }
    }
}
