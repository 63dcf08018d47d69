//! An export's entries come in, batches of them on their way into the log leave, each with the progress it makes.

use std::{ops::ControlFlow, sync::Arc};

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use telesift_ports::{
    ExportReader, RecordLog,
    catalog::ImportRow,
    imports::{ImportError, ImportProgress},
    leases::Fence,
    ledger::{StageKey, StageState},
    record_log::{self, NewRecord, Outcome, StateWrite, Transaction},
    source::ExportEntry,
};
use telesift_schemas::{PartitionId, Topic, TopicPartition};
use tokio::{sync::mpsc, task::JoinHandle};

use super::ImportConfig;
use crate::{ingest, telemetry};

/// Entries of exports come from outside the log: the input in the ledger is named after their source.
const LEDGER_INPUT: &str = "imports";

/// Reads the entries after the first `skip`, as batches. Three of them are in memory at most: one being filled, one that
/// waits, one being appended; so a log that stands still makes the reader stand still.
pub(super) fn read(
    reader: Arc<dyn ExportReader>,
    row: &ImportRow,
    skip: u64,
    n_partitions: u32,
    config: ImportConfig,
) -> (
    JoinHandle<Result<(), ImportError>>,
    mpsc::Receiver<PendingBatch>,
) {
    let (sender, batches) = mpsc::channel(1);
    let (request, id) = (row.request.clone(), row.status.id.clone());
    let reading = tokio::task::spawn_blocking(move || {
        let mut batch = PendingBatch::default();
        reader.read(&id, &request, skip, &mut |entry, bytes_read| {
            batch.push(entry, bytes_read, n_partitions);
            if !batch.is_full(&config) {
                return ControlFlow::Continue(());
            }
            match sender.blocking_send(std::mem::take(&mut batch)) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        })?;
        if batch.n_entries > 0 {
            // Whoever went away does not want the rest: it is read again after the restart.
            let _gone_if_err = sender.blocking_send(batch);
        }
        Ok(())
    });
    (reading, batches)
}

/// An import's progress and the counters of all imports, as the log has them: both are committed with what they count.
pub(super) struct Running {
    key: String,
    stored: Option<Bytes>,
    fence: Fence,
    pub(super) progress: ImportProgress,
    ledger_key: String,
    ledger_stored: Option<Bytes>,
    ledger: StageState,
}

impl Running {
    /// The import `id`, nothing known of it yet, to be committed under `fence` and counted by `process`.
    pub(super) fn new(id: &str, fence: Fence, process: Option<&str>) -> Self {
        let input = TopicPartition::new(Topic::new(LEDGER_INPUT), PartitionId(0));
        let stage = ingest::STAGE.to_owned();
        Running {
            key: state_key(id),
            stored: None,
            fence,
            progress: ImportProgress::default(),
            ledger_key: StageKey { stage, input }.counted_by(process).state_key(),
            ledger_stored: None,
            ledger: StageState::default(),
        }
    }

    /// Whether anything was committed.
    pub(super) fn has_started(&self) -> bool {
        self.stored.is_some()
    }

    pub(super) async fn load(&mut self, log: &dyn RecordLog) -> record_log::Result<()> {
        self.stored = log.state(&self.key).await?;
        if let Some(bytes) = &self.stored {
            self.progress = parsed(&self.key, bytes)?;
        }
        self.ledger_stored = log.state(&self.ledger_key).await?;
        if let Some(bytes) = &self.ledger_stored {
            self.ledger = parsed(&self.ledger_key, bytes)?;
        }
        Ok(())
    }

    /// The append of `batch` together with the progress it makes.
    pub(super) fn transaction(&self, batch: &PendingBatch) -> Transaction {
        let (key, mut progress) = (self.key.clone(), self.progress.clone());
        let (ledger_key, mut ledger) = (self.ledger_key.clone(), self.ledger.clone());
        let (n_entries, bytes_read, skipped) =
            (batch.n_entries, batch.bytes_read, batch.skipped.clone());
        Transaction {
            appends: batch.appends.clone(),
            guards: vec![
                (self.key.clone(), self.stored.clone()),
                (self.ledger_key.clone(), self.ledger_stored.clone()),
            ],
            fence: self.fence.clone(),
            finish: Box::new(move |outcomes| {
                let n_new = outcomes
                    .iter()
                    .filter(|o| matches!(o, Outcome::Appended { .. }))
                    .count() as u64;
                let n_duplicate = outcomes.len() as u64 - n_new;
                progress.messages_read += n_entries;
                progress.messages_new += n_new;
                progress.messages_duplicate += n_duplicate;
                progress.bytes_read = progress.bytes_read.max(bytes_read);
                ledger.next.0 += n_entries;
                ledger.counters.received += n_entries;
                ledger.counters.emitted += n_new;
                if n_duplicate > 0 {
                    let skipped = &mut ledger.counters.skipped;
                    *skipped.entry("duplicate".to_owned()).or_default() += n_duplicate;
                }
                for reason in skipped {
                    *progress.skipped.entry(reason.to_owned()).or_default() += 1;
                    ledger.counters.skip(reason);
                }
                vec![written(key, &progress), written(ledger_key, &ledger)]
            }),
        }
    }
}

fn parsed<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> record_log::Result<T> {
    serde_json::from_slice(bytes).map_err(|e| record_log::Error::Unavailable {
        reason: format!("state `{key}` is unreadable: {e}"),
        ambiguous: false,
    })
}

fn written(key: String, value: &impl Serialize) -> StateWrite {
    let value = serde_json::to_vec(value).expect("counters are numbers and strings");
    (key, Some(value.into()))
}

/// Entries read but not yet appended.
#[derive(Default)]
pub(super) struct PendingBatch {
    appends: Vec<(TopicPartition, NewRecord)>,
    skipped: Vec<&'static str>,
    pub(super) n_entries: u64,
    n_bytes: usize,
    bytes_read: u64,
}

impl PendingBatch {
    pub(super) fn push(&mut self, entry: ExportEntry, bytes_read: u64, n_partitions: u32) {
        self.n_entries += 1;
        self.bytes_read = bytes_read;
        match entry {
            ExportEntry::Update(update) => {
                self.n_bytes += update.value.len();
                self.appends
                    .push(super::super::append(update, n_partitions));
            }
            ExportEntry::Skipped(reason) => self.skipped.push(reason),
        }
    }

    pub(super) fn is_full(&self, config: &ImportConfig) -> bool {
        self.n_entries >= config.batch_entries as u64 || self.n_bytes >= config.batch_bytes
    }
}

pub(super) fn count(outcomes: &[Outcome]) {
    let n_new = outcomes
        .iter()
        .filter(|o| matches!(o, Outcome::Appended { .. }))
        .count();
    metrics::counter!(telemetry::IMPORT_ENTRIES, "outcome" => "new").increment(n_new as u64);
    metrics::counter!(telemetry::IMPORT_ENTRIES, "outcome" => "duplicate")
        .increment((outcomes.len() - n_new) as u64);
}

/// Where the log keeps the progress of the import `id`.
pub(super) fn state_key(id: &str) -> String {
    format!("import/{id}")
}
