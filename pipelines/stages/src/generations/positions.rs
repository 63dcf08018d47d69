//! How far the stages of a generation are, read from the ledger.

use telesift_ports::{
    Catalog, RecordLog,
    generations::{Part, Register},
    ledger::{StageKey, StageState},
    record_log,
    replays::StagePosition,
};
use telesift_schemas::{Generation, Offset, PartitionId, Topic, TopicPartition};

use super::stage_name;
use crate::{StageError, index, labels, screen, stories, story_catalog, windows};

/// A position a stage must have reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The stage.
    pub stage: &'static str,
    /// What it reads.
    pub input: TopicPartition,
    /// The next offset it must be at, or beyond.
    pub next: Offset,
}

/// The stages that fill a part, with what each reads.
pub(crate) fn stages_of(
    register: &Register,
    part: Part,
    of: Generation,
) -> Vec<(&'static str, Topic)> {
    let reads = register
        .entry(of)
        .map_or(Topic::MESSAGES, |e| e.parts.messages_topic());
    match part {
        Part::Messages => vec![(stage_name(screen::STAGE, of), Topic::TELEGRAM_RAW)],
        Part::Store => vec![
            (stage_name(index::STAGE, of), reads),
            (stage_name(labels::STAGE, of), Topic::DECISIONS),
        ],
        Part::Stories => vec![
            (stage_name(stories::STAGE, of), reads),
            (stage_name(story_catalog::STAGE, of), Topic::STORIES.of(of)),
        ],
        Part::Windows => vec![(stage_name(windows::STAGE, of), reads)],
        // The stages of knowledge are the same for all generations.
        Part::Knowledge => Vec::new(),
    }
}

/// How far every stage of these parts is.
///
/// # Errors
/// If log or catalog fail.
pub async fn positions(
    log: &dyn RecordLog,
    catalog: &dyn Catalog,
    register: &Register,
    parts: &[(Part, Generation)],
) -> Result<Vec<StagePosition>, StageError> {
    let mut found = Vec::new();
    for (part, of) in parts {
        for (stage, topic) in stages_of(register, *part, *of) {
            let partitions = match log.partitions(&topic).await {
                Ok(partitions) => partitions,
                // Not made yet, or removed meanwhile.
                Err(record_log::Error::TopicNotFound(_)) => continue,
                Err(error) => return Err(error.into()),
            };
            for p in partitions {
                let input = TopicPartition::new(topic.clone(), p.partition);
                found.push(StagePosition {
                    stage: stage.to_owned(),
                    next: next_of(log, catalog, stage, &input).await?,
                    input,
                    end: p.bounds.end,
                });
            }
        }
    }
    Ok(found)
}

/// The next offset a stage reads; log-to-log stages keep it with the log, the others in the catalog.
pub(crate) async fn next_of(
    log: &dyn RecordLog,
    catalog: &dyn Catalog,
    stage: &'static str,
    input: &TopicPartition,
) -> Result<Offset, StageError> {
    let key = StageKey {
        stage: stage.to_owned(),
        input: input.clone(),
    };
    if let Some(state) = state_of(log, &key.state_key()).await? {
        return Ok(state.next);
    }
    let state = catalog.stage_state(&key).await?;
    Ok(state.map_or(Offset::ZERO, |s| s.next))
}

/// Position and counters under a key of the log.
pub(crate) async fn state_of(
    log: &dyn RecordLog,
    key: &str,
) -> Result<Option<StageState>, StageError> {
    let Some(bytes) = log.state(key).await? else {
        return Ok(None);
    };
    let read = serde_json::from_slice(&bytes).map_err(|e| StageError::State {
        key: key.to_owned(),
        reason: e.to_string(),
    });
    read.map(Some)
}

/// How far the screen of `of` is in a raw partition.
pub(crate) async fn screened(
    log: &dyn RecordLog,
    of: Generation,
    partition: PartitionId,
) -> Result<StageState, StageError> {
    let key = StageKey {
        stage: stage_name(screen::STAGE, of).to_owned(),
        input: TopicPartition::new(Topic::TELEGRAM_RAW, partition),
    };
    Ok(state_of(log, &key.state_key()).await?.unwrap_or_default())
}

/// Those of `wanted` that are not reached, with how many records are missing.
///
/// # Errors
/// If log or catalog fail.
pub async fn reached(
    log: &dyn RecordLog,
    catalog: &dyn Catalog,
    wanted: &[Wanted],
) -> Result<Vec<(Wanted, u64)>, StageError> {
    let mut missing = Vec::new();
    for w in wanted {
        let next = next_of(log, catalog, w.stage, &w.input).await?;
        if next < w.next {
            missing.push((w.clone(), w.next.0 - next.0));
        }
    }
    Ok(missing)
}
