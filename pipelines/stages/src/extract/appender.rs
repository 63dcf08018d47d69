//! Answers on their way to `extractions`: in the order in which they were compared, those that wait together in one commit.

use std::sync::Arc;

use telesift_ports::{
    RecordLog,
    leases::Fence,
    record_log::{NewRecord, Outcome, Transaction},
};
use telesift_schemas::Offset;
use tokio::sync::{mpsc, oneshot};

use super::extractions;

/// Answers that wait at most; more wait to be queued. Above the workers of any sane configuration.
const MAX_QUEUED: usize = 256;

/// The way in.
pub(super) type Queue = mpsc::Sender<Queued>;

/// An answer, and who wants to know where it stands.
pub(super) struct Queued {
    pub(super) record: NewRecord,
    pub(super) done: oneshot::Sender<Offset>,
}

/// Starts appending; ends once nobody holds the queue any more. Who is told nothing must append himself: the commit failed, or
/// the record stood there already.
pub(super) fn start(log: Arc<dyn RecordLog>, fence: Fence) -> Queue {
    let (queue, mut waiting) = mpsc::channel::<Queued>(MAX_QUEUED);
    tokio::spawn(async move {
        let mut batch = Vec::new();
        while waiting.recv_many(&mut batch, MAX_QUEUED).await > 0 {
            append(&*log, &fence, std::mem::take(&mut batch)).await;
        }
    });
    queue
}

async fn append(log: &dyn RecordLog, fence: &Fence, batch: Vec<Queued>) {
    let (records, waiting): (Vec<_>, Vec<_>) =
        batch.into_iter().map(|q| (q.record, q.done)).unzip();
    let appends = records.into_iter().map(|r| (extractions(), r)).collect();
    let transaction = Transaction {
        fence: fence.clone(),
        ..Transaction::appends(appends)
    };
    let outcomes = match log.commit(transaction).await {
        Ok(outcomes) => outcomes,
        Err(error) => {
            tracing::debug!(%error, "answers are appended one by one");
            return;
        }
    };
    for (outcome, done) in outcomes.iter().zip(waiting) {
        if let Outcome::Appended { offset, .. } = outcome {
            // Whoever asked may have ended meanwhile.
            let _ = done.send(*offset);
        }
    }
}
