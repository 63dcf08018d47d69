//! Deciding on rules while other processes screen, on a log without transactions: who decides and who screens see each other.
//!
//! A screen notes how far the batch reaches that it begins, its *claim*, and looks at the gate afterwards. Who activates rules
//! shuts the gate and looks at the claims afterwards, so that one of the two sees the other: either the rules count from behind
//! the claim on, or the screen waits and reads the decision first. The gate opens in the write that ends the decision. One that
//! stays shut, because its process died, is opened by whoever waited long enough; a decision that comes after that is answered
//! with an error.

use std::time::Duration;

use bytes::Bytes;
use telesift_ports::{
    RecordLog,
    leases::Fence,
    ledger::StageKey,
    record_log::{self, StateWrite, Transaction},
};
use telesift_schemas::Offset;
use tokio::time::Instant;

const GATE: &str = "rules/gate";
/// What the key of every claim begins with.
pub(crate) const CLAIMS: &str = "claims/";
/// How long a gate stays shut at most: longer than a decision may take.
const SHUT_AT_MOST: Duration = match cfg!(test) {
    true => Duration::from_millis(100),
    false => Duration::from_secs(30),
};
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A gate that this process shut.
pub(super) struct Shut(Bytes);

impl Shut {
    /// Holds for the decision that is made behind it.
    pub(super) fn guard(&self) -> StateWrite {
        (GATE.to_owned(), Some(self.0.clone()))
    }
}

/// Shuts the gate; `None` if somebody else decides.
pub(super) async fn shut(log: &dyn RecordLog) -> record_log::Result<Option<Shut>> {
    let name: Bytes = uuid::Uuid::new_v4().to_string().into();
    let write = (GATE.to_owned(), Some(name.clone()));
    match change(log, (GATE.to_owned(), None), write).await {
        Ok(()) => Ok(Some(Shut(name))),
        Err(record_log::Error::GuardFailed { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The write that opens it.
pub(super) fn opened() -> StateWrite {
    (GATE.to_owned(), None)
}

/// Opens it: nothing was decided.
pub(super) async fn open(log: &dyn RecordLog, shut: &Shut) {
    if let Err(error) = change(log, shut.guard(), opened()).await {
        tracing::debug!(%error, "the gate of the rules opens when its time is over");
    }
}

async fn change(
    log: &dyn RecordLog,
    guard: StateWrite,
    write: StateWrite,
) -> record_log::Result<()> {
    let transaction = Transaction {
        guards: vec![guard],
        finish: Box::new(move |_| vec![write]),
        ..Transaction::appends(Vec::new())
    };
    log.commit(transaction).await.map(drop)
}

/// How far the batch reaches that the screen of `stage` began last.
pub(super) async fn claimed(log: &dyn RecordLog, stage: &StageKey) -> record_log::Result<Offset> {
    let stored = log.state(&key(stage)).await?;
    let text = stored.as_deref().map(String::from_utf8_lossy);
    Ok(Offset(text.and_then(|t| t.parse().ok()).unwrap_or(0)))
}

fn key(stage: &StageKey) -> String {
    let key = stage.state_key();
    let rest = key.strip_prefix(StageKey::STATE_PREFIX).unwrap_or(&key);
    format!("{CLAIMS}{rest}")
}

/// Notes that the screen of `stage` begins a batch that ends before `next`, and waits while somebody decides. Rules read after
/// that are those the batch is to be screened by.
pub(crate) async fn claim(
    log: &dyn RecordLog,
    stage: &StageKey,
    next: Offset,
    fence: &Fence,
) -> record_log::Result<()> {
    note(log, stage, next, fence).await?;
    let (mut seen, mut since) = (None, Instant::now());
    while let Some(name) = log.state(GATE).await? {
        if seen.as_ref() != Some(&name) {
            (seen, since) = (Some(name), Instant::now());
        } else if since.elapsed() >= SHUT_AT_MOST {
            tracing::warn!("whoever decided on rules is gone: screening goes on");
            let left = (GATE.to_owned(), Some(name));
            match change(log, left, opened()).await {
                Ok(()) | Err(record_log::Error::GuardFailed { .. }) => {}
                Err(error) => return Err(error),
            }
        } else {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
    Ok(())
}

/// Notes that nothing of what was claimed from `next` on was appended: the rules that hold there cannot be used, and somebody
/// must be able to decide on others.
pub(crate) async fn withdraw(
    log: &dyn RecordLog,
    stage: &StageKey,
    next: Offset,
    fence: &Fence,
) -> record_log::Result<()> {
    note(log, stage, next, fence).await
}

async fn note(
    log: &dyn RecordLog,
    stage: &StageKey,
    next: Offset,
    fence: &Fence,
) -> record_log::Result<()> {
    let write = (key(stage), Some(Bytes::from(next.to_string())));
    let transaction = Transaction {
        fence: fence.clone(),
        finish: Box::new(move |_| vec![write]),
        ..Transaction::appends(Vec::new())
    };
    log.commit(transaction).await.map(drop)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use telesift_ports::memory::{ManualClock, MemoryLog};
    use telesift_schemas::{PartitionId, Topic, TopicPartition};

    use super::*;

    #[tokio::test]
    async fn a_gate_that_nobody_opens_holds_nobody_up_for_ever() {
        let log = MemoryLog::without_transactions(Arc::new(ManualClock::default()));
        let dead = shut(&log).await.unwrap().unwrap();
        assert!(shut(&log).await.unwrap().is_none(), "one decides at a time");
        let stage = StageKey {
            stage: "screen".to_owned(),
            input: TopicPartition::new(Topic::TELEGRAM_RAW, PartitionId(0)),
        };
        claim(&log, &stage, Offset(5), &Fence::open())
            .await
            .unwrap();
        assert_eq!(claimed(&log, &stage).await.unwrap(), Offset(5));
        // Should it not be dead but late, its decision does not go through.
        let late = change(&log, dead.guard(), opened()).await;
        assert!(matches!(late, Err(record_log::Error::GuardFailed { .. })));
        assert!(shut(&log).await.unwrap().is_some());
    }
}
