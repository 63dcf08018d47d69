//! From where on a set may count: what is screened and what is appended, per partition of `telegram-raw`.

use telesift_ports::{
    RecordLog,
    ledger::{StageKey, StageState},
    record_log::{self, StateWrite},
    rules::{RulesError, StartFrom},
};
use telesift_schemas::{Offset, PartitionId, Position, Topic, TopicPartition};

use crate::screen;

/// A partition of `telegram-raw`, as an activation sees it with nothing in flight.
pub(super) struct RawPartition {
    pub(super) partition: PartitionId,
    /// The next offset to be screened.
    pub(super) screened: Offset,
    pub(super) end: Offset,
    /// The screen's state as stored.
    pub(super) stored: StateWrite,
}

pub(super) async fn raw_partitions(log: &dyn RecordLog) -> Result<Vec<RawPartition>, RulesError> {
    let mut all = Vec::new();
    for p in log.partitions(&Topic::TELEGRAM_RAW).await? {
        let key = StageKey {
            stage: screen::STAGE.into(),
            input: TopicPartition::new(Topic::TELEGRAM_RAW, p.partition),
        }
        .state_key();
        let stored = log.state(&key).await?;
        let state: StageState = match &stored {
            None => StageState::default(),
            Some(bytes) => serde_json::from_slice(bytes)
                .map_err(|e| RulesError::Internal(format!("state `{key}` is unreadable: {e}")))?,
        };
        all.push(RawPartition {
            partition: p.partition,
            screened: state.next,
            end: p.bounds.end,
            stored: (key, stored),
        });
    }
    Ok(all)
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
            StartFrom::Unscreened => raw.screened,
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
        if next < raw.screened {
            return Err(RulesError::AlreadyScreened {
                partition: raw.partition,
                from: next,
                screened: raw.screened,
            });
        }
        Ok(Position {
            at: at(raw.partition),
            next,
        })
    };
    raw.iter().map(start).collect()
}
