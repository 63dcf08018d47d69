//! The two projections of words: into a store, and onto the log.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use telesift_ports::{
    RecordLog,
    record_log::{NewRecord, StoredRecord},
};
use telesift_schemas::{DeadLetterCode, TopicPartition};
use telesift_stages::{
    StageError,
    dead_letter::Refusal,
    projection::{Applied, CatalogCheckpoint, Due, LogChange, LogCheckpoint, Projection, Read},
};

use super::OUTPUT;
use crate::flow::at;

/// Effects, by the offset of their record; a record put there again changes nothing.
#[derive(Default)]
pub(super) struct Shelf {
    pub(super) effects: Mutex<BTreeMap<(bool, u64), String>>,
    /// What is to fail, and whether only after its effect.
    pub(super) faults: Mutex<VecDeque<(bool, StageError)>>,
    /// How often something has failed.
    pub(super) n_broken: AtomicUsize,
}

impl Shelf {
    fn put(&self, said: &[(u64, String)]) -> Result<(), StageError> {
        let fault = self.faults.lock().unwrap().pop_front();
        if fault.is_some() {
            self.n_broken.fetch_add(1, Ordering::SeqCst);
        }
        match fault {
            Some((false, error)) => Err(error),
            fault => {
                let mut effects = self.effects.lock().unwrap();
                for (offset, word) in said {
                    effects.insert((word == "poison", *offset), word.clone());
                }
                fault.map_or(Ok(()), |(_, error)| Err(error))
            }
        }
    }
}

/// Reads a word; one that is `idle` is read, and has no effect.
fn read(record: &StoredRecord, reads_poison: bool) -> Result<Read<(u64, String)>, Refusal> {
    let word = String::from_utf8(record.value.to_vec()).unwrap();
    match word.as_str() {
        "other" => Ok(Read::Skipped("other_word")),
        "poison" if !reads_poison => Err(Refusal {
            code: DeadLetterCode::Unreadable,
            message: "poison".to_owned(),
            attempts: 1,
        }),
        _ => Ok(Read::Said((record.offset.0, word))),
    }
}

/// Takes out what is `idle`.
fn without_idle(said: &mut Vec<(u64, String)>) -> Vec<&'static str> {
    let n = said.len();
    said.retain(|(_, word)| word != "idle");
    vec!["no_news"; n - said.len()]
}

/// Puts words into a store, its position in the catalog.
pub(super) struct Shelved {
    pub(super) reads_poison: bool,
    pub(super) shelf: Arc<Shelf>,
}

#[async_trait]
impl Projection for Shelved {
    type Said = (u64, String);
    type Change = ();
    type Kept = CatalogCheckpoint;

    fn read(
        &self,
        _: &TopicPartition,
        record: &StoredRecord,
    ) -> Result<Read<(u64, String)>, Refusal> {
        read(record, self.reads_poison)
    }

    async fn apply(&mut self, mut said: Vec<(u64, String)>) -> Result<Applied<()>, StageError> {
        let skipped = without_idle(&mut said);
        self.shelf.put(&said)?;
        Ok(Applied {
            change: (),
            skipped,
        })
    }

    async fn is_lost(&self) -> Result<bool, StageError> {
        Ok(self.shelf.effects.lock().unwrap().is_empty())
    }
}

/// The state of [`Told`].
const TOLD: &str = "words/told";

/// Numbers words on the log, and sums them up when nothing comes; what it told is kept in the same transaction.
pub(super) struct Told {
    pub(super) reads_poison: bool,
    pub(super) shelf: Arc<Shelf>,
    pub(super) log: Arc<dyn RecordLog>,
    pub(super) n_told: usize,
    pub(super) n_summed: usize,
}

impl Told {
    fn change(&self, lines: Vec<String>) -> LogChange {
        let append = |line: String| {
            let record = NewRecord {
                key: "7".into(),
                value: line.into(),
                unique: Vec::new(),
            };
            (at(OUTPUT), record)
        };
        let kept = format!("{} {}", self.n_told, self.n_summed);
        LogChange {
            appends: lines.into_iter().map(append).collect(),
            writes: vec![(TOLD.to_owned(), Some(kept.into()))],
        }
    }
}

#[async_trait]
impl Projection for Told {
    type Said = (u64, String);
    type Change = LogChange;
    type Kept = LogCheckpoint;

    fn read(
        &self,
        _: &TopicPartition,
        record: &StoredRecord,
    ) -> Result<Read<(u64, String)>, Refusal> {
        read(record, self.reads_poison)
    }

    async fn apply(
        &mut self,
        mut said: Vec<(u64, String)>,
    ) -> Result<Applied<LogChange>, StageError> {
        let skipped = without_idle(&mut said);
        self.shelf.put(&[])?;
        let mut lines = Vec::new();
        for (_, word) in said {
            self.n_told += 1;
            lines.push(format!("{} {word}", self.n_told));
        }
        let change = self.change(lines);
        Ok(Applied { change, skipped })
    }

    async fn load(&mut self) -> Result<(), StageError> {
        let stored = self.log.state(TOLD).await?;
        let kept = stored.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
        let kept = kept.unwrap_or_else(|| "0 0".to_owned());
        let (n_told, n_summed) = kept.split_once(' ').unwrap();
        self.n_told = n_told.parse().unwrap();
        self.n_summed = n_summed.parse().unwrap();
        Ok(())
    }

    async fn due(&mut self) -> Result<Due<LogChange>, StageError> {
        if self.n_summed == self.n_told {
            return Ok(Due::default());
        }
        self.n_summed = self.n_told;
        let change = self.change(vec![format!("sum {}", self.n_told)]);
        Ok(Due {
            change: Some(change),
            again: None,
        })
    }
}
