//! From where on a set may count: what is screened and what is appended, per partition of `telegram-raw`.

use telesift_ports::{
    RecordLog,
    ledger::{StageKey, StageState},
    record_log::{self, StateWrite},
    rules::{RulesError, StartFrom},
};
use telesift_schemas::{Generation, Offset, PartitionId, Position, Topic, TopicPartition};

use super::gate;
use crate::screen;

/// A partition of `telegram-raw`, as an activation sees it with nothing in flight.
pub(super) struct RawPartition {
    pub(super) partition: PartitionId,
    /// The next offset that no generation has screened: where all go by what is decided now.
    pub(super) screened: Offset,
    /// The next offset that no batch in flight reaches, in any process.
    pub(super) free: Offset,
    pub(super) end: Offset,
    /// The screens' states as stored, one per generation that is kept.
    pub(super) stored: Vec<StateWrite>,
}

pub(super) async fn raw_partitions(log: &dyn RecordLog) -> Result<Vec<RawPartition>, RulesError> {
    let screens = screens(log).await?;
    let mut all = Vec::new();
    for p in log.partitions(&Topic::TELEGRAM_RAW).await? {
        let (mut stored, mut screened, mut free) = (Vec::new(), Offset::ZERO, Offset::ZERO);
        for stage in &screens {
            let stage = StageKey {
                stage: stage.clone(),
                input: TopicPartition::new(Topic::TELEGRAM_RAW, p.partition),
            };
            if !log.is_transactional() {
                free = free.max(gate::claimed(log, &stage).await?);
            }
            let key = stage.state_key();
            let state = log.state(&key).await?;
            if let Some(bytes) = &state {
                let state: StageState = serde_json::from_slice(bytes).map_err(|e| {
                    RulesError::Internal(format!("state `{key}` is unreadable: {e}"))
                })?;
                screened = screened.max(state.next);
            }
            stored.push((key, state));
        }
        all.push(RawPartition {
            partition: p.partition,
            screened,
            free: free.max(screened),
            // A batch may have begun since that was read.
            end: p.bounds.end.max(free),
            stored,
        });
    }
    Ok(all)
}

/// The screens there are: the first generation's, and those of every generation that has screened something.
async fn screens(log: &dyn RecordLog) -> Result<Vec<String>, RulesError> {
    let prefix = format!("{}{}", StageKey::STATE_PREFIX, screen::STAGE);
    let mut found = vec![screen::STAGE.to_owned()];
    for (key, _) in log.state_with_prefix(&prefix).await? {
        let Some(key) = StageKey::from_state_key(&key) else {
            continue;
        };
        let is_screen = Generation::of_name(screen::STAGE, &key.stage).is_some();
        if is_screen && !found.contains(&key.stage) {
            found.push(key.stage);
        }
    }
    Ok(found)
}

/// The first offset of each partition for a set that starts `from` there.
pub(super) fn starts(raw: &[RawPartition], from: &StartFrom) -> Result<Vec<Position>, RulesError> {
    let at = |partition| TopicPartition::new(Topic::TELEGRAM_RAW, partition);
    if let StartFrom::Offsets(named) = from {
        let missing = named
            .iter()
            .find(|(p, _)| !raw.iter().any(|raw| raw.partition == *p));
        if let Some((partition, _)) = missing {
            return Err(record_log::Error::PartitionNotFound(at(*partition)).into());
        }
    }
    let start = |raw: &RawPartition| {
        let next = match from {
            StartFrom::Latest => raw.end,
            StartFrom::Unscreened => raw.free,
            StartFrom::Offsets(named) => named
                .iter()
                .find(|(p, _)| *p == raw.partition)
                .map_or(raw.end, |(_, offset)| *offset),
        };
        if next > raw.end {
            return Err(RulesError::Log(record_log::Error::BeyondEnd {
                at: at(raw.partition),
                from: next,
                end: raw.end,
            }));
        }
        if next < raw.free {
            return Err(RulesError::AlreadyScreened {
                partition: raw.partition,
                from: next,
                screened: raw.free,
            });
        }
        Ok(Position {
            at: at(raw.partition),
            next,
        })
    };
    raw.iter().map(start).collect()
}
