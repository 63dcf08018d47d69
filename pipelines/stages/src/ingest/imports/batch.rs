//! An export's entries come in, batches of them on their way into the log leave, each with the progress it makes.

use std::{ops::ControlFlow, sync::Arc};

use bytes::Bytes;
use telesift_ports::{
    ExportReader, RecordLog,
    catalog::ImportRow,
    imports::{ImportError, ImportProgress},
    record_log::{self, NewRecord, Outcome, Transaction},
    source::ExportEntry,
};
use telesift_schemas::TopicPartition;
use tokio::{sync::mpsc, task::JoinHandle};

use super::ImportConfig;
use crate::telemetry;

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

/// An import's progress, as the log has it.
pub(super) struct Running {
    key: String,
    stored: Option<Bytes>,
    pub(super) progress: ImportProgress,
}

impl Running {
    /// The import `id`, nothing known of it yet.
    pub(super) fn new(id: &str) -> Self {
        Running {
            key: state_key(id),
            stored: None,
            progress: ImportProgress::default(),
        }
    }

    /// Whether anything was committed.
    pub(super) fn has_started(&self) -> bool {
        self.stored.is_some()
    }

    pub(super) async fn load(&mut self, log: &dyn RecordLog) -> record_log::Result<()> {
        self.stored = log.state(&self.key).await?;
        if let Some(bytes) = &self.stored {
            let unreadable = |e: serde_json::Error| record_log::Error::Unavailable {
                reason: format!("state `{}` is unreadable: {e}", self.key),
                ambiguous: false,
            };
            self.progress = serde_json::from_slice(bytes).map_err(unreadable)?;
        }
        Ok(())
    }

    /// The append of `batch` together with the progress it makes.
    pub(super) fn transaction(&self, batch: &PendingBatch) -> Transaction {
        let (key, mut progress) = (self.key.clone(), self.progress.clone());
        let (n_entries, bytes_read, skipped) =
            (batch.n_entries, batch.bytes_read, batch.skipped.clone());
        Transaction {
            appends: batch.appends.clone(),
            guards: vec![(self.key.clone(), self.stored.clone())],
            finish: Box::new(move |outcomes| {
                let n_new = outcomes
                    .iter()
                    .filter(|o| matches!(o, Outcome::Appended { .. }))
                    .count() as u64;
                progress.messages_read += n_entries;
                progress.messages_new += n_new;
                progress.messages_duplicate += outcomes.len() as u64 - n_new;
                progress.bytes_read = progress.bytes_read.max(bytes_read);
                for reason in skipped {
                    *progress.skipped.entry(reason.to_owned()).or_default() += 1;
                }
                let value =
                    serde_json::to_vec(&progress).expect("counters are numbers and strings");
                vec![(key, Some(value.into()))]
            }),
        }
    }
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
