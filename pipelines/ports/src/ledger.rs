//! The ledger: where a stage stands in its input and what became of everything before that.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use telesift_schemas::{Offset, Topic, TopicPartition};

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

    /// The same input where several processes count it, each in a row of its own: what `process` counts.
    pub fn counted_by(mut self, process: Option<&str>) -> Self {
        if let Some(process) = process {
            self.input.topic = Topic::new(format!("{}@{process}", self.input.topic));
        }
        self
    }

    /// What such rows belong to, all of them together.
    pub fn counted_together(mut self) -> Self {
        if let Some((input, _)) = self.input.topic.as_str().split_once('@') {
            self.input.topic = Topic::new(input.to_owned());
        }
        self
    }

    /// Reads [`StageKey::state_key`] back.
    pub fn from_state_key(key: &str) -> Option<Self> {
        let (rest, partition) = key.strip_prefix(Self::STATE_PREFIX)?.rsplit_once('/')?;
        let (stage, topic) = rest.rsplit_once('/')?;
        Some(StageKey {
            stage: stage.to_owned(),
            input: TopicPartition::new(
                Topic::new(topic),
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
    /// The retry counted last, as [`crate::dead_letters::RetryRequest::name`] has it: one that is repeated, because the
    /// process died before its end was noted, is not counted again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_retry: Option<String>,
}

/// What a retry made of an input that was given up on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Its effect is stored.
    Emitted,
    /// It has none, for this reason.
    Skipped(String),
    /// It failed again.
    Refused,
}

impl StageState {
    /// Adds what another process counted of the same input.
    pub fn add(&mut self, other: &StageState) {
        self.next.0 += other.next.0;
        self.counters += &other.counters;
    }

    /// Moves an input from `dead_lettered` to where it belongs; nothing if the retry of that name was counted before.
    pub fn count_retry(&mut self, name: String, fate: &Fate) {
        if self.last_retry.as_ref() == Some(&name) {
            return;
        }
        self.last_retry = Some(name);
        let counters = &mut self.counters;
        // Counters that began anew (a rebuild of a store) may not know the letter: then there is nothing to move.
        if *fate == Fate::Refused || counters.dead_lettered == 0 {
            return;
        }
        counters.dead_lettered -= 1;
        counters.retried_ok += 1;
        match fate {
            Fate::Skipped(reason) => counters.skip(reason),
            _ => counters.emitted += 1,
        }
    }
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
    /// Inputs given up on, and not solved by a retry since.
    pub dead_lettered: u64,
    /// Inputs that a retry of their dead letter solved; they count among `emitted` or `skipped` as well.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn given_up() -> StageState {
        let counters = Counters {
            received: 3,
            emitted: 1,
            dead_lettered: 2,
            ..Counters::default()
        };
        StageState {
            counters,
            ..StageState::default()
        }
    }

    #[test]
    fn a_retry_moves_its_input_and_the_equation_holds() {
        let mut state = given_up();
        state.count_retry("a#2".into(), &Fate::Emitted);
        state.count_retry("b#2".into(), &Fate::Skipped("duplicate".into()));
        let counters = &state.counters;
        assert_eq!(
            (
                counters.emitted,
                counters.dead_lettered,
                counters.retried_ok
            ),
            (2, 0, 2)
        );
        assert_eq!(counters.skipped["duplicate"], 1);
        assert_eq!((counters.received, counters.pending()), (3, 0));
    }

    #[test]
    fn what_each_process_counts_adds_up_under_one_name() {
        let input = TopicPartition::new(Topic::new("bot:ops"), telesift_schemas::PartitionId(0));
        let key = StageKey {
            stage: "ingest".into(),
            input,
        };
        let rows = [None, Some("a"), Some("b")].map(|process| key.clone().counted_by(process));
        let mut sum = StageState::default();
        for row in rows {
            let read = StageKey::from_state_key(&row.state_key()).unwrap();
            assert_eq!(read, row);
            assert_eq!(read.counted_together(), key);
            sum.add(&given_up());
        }
        assert_eq!((sum.counters.received, sum.counters.pending()), (9, 0));
    }

    #[test]
    fn a_retry_counts_once() {
        let mut state = given_up();
        state.count_retry("a#2".into(), &Fate::Emitted);
        state.count_retry("a#2".into(), &Fate::Emitted);
        assert_eq!(state.counters.dead_lettered, 1);
    }

    #[test]
    fn a_retry_that_fails_again_moves_nothing() {
        let mut state = given_up();
        state.count_retry("a#2".into(), &Fate::Refused);
        assert_eq!(state.counters, given_up().counters);
    }
}
