//! One run of a replay of `extract`: recorded units in; those that somebody else would be asked about now are asked for anew.
//!
//! It writes no generation: what is answered takes the place of what the unit said before, unit by unit, as after an edit. The
//! stage `extract` asks, within its budgets; this marks the units, a batch at a time, and waits for them.

use std::time::Duration;

use telesift_ports::{
    catalog,
    record_log::{self, ReadLimits, StoredRecord},
    replays::{ReplayProgress, ReplayRange, ReplayState, ReplayStatus},
};
use telesift_schemas::{Offset, Topic, TopicPartition, UnitEvent, UnitRecord};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{ReplayConfig, ReplayParts, attempt::End};
use crate::{StageError, consumer::pause, extract::Planned, generations::Pace};

/// How often it is looked whether what was marked is answered.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How often it is asked whether it was paused or cancelled elsewhere.
const ASK_EVERY: Duration = Duration::from_secs(1);

pub(super) struct UnitReading<'a> {
    parts: &'a ReplayParts,
    config: &'a ReplayConfig,
    id: &'a str,
    interrupted: CancellationToken,
    replay: ReplayStatus,
    progress: ReplayProgress,
    /// Offsets processed as last stored.
    stored: u64,
}

/// What a record comes to.
enum Fate {
    Skipped(&'static str),
    Failed(&'static str),
    Unit(String, Planned),
}

impl<'a> UnitReading<'a> {
    /// Takes the replay up where it was last stored.
    pub(super) async fn begin(
        parts: &'a ReplayParts,
        config: &'a ReplayConfig,
        id: &'a str,
        interrupted: CancellationToken,
    ) -> Result<Self, StageError> {
        let missing = || StageError::State {
            key: format!("replay/{id}"),
            reason: "it is gone".to_owned(),
        };
        let replay = parts.catalog.replay(id).await?.ok_or_else(missing)?;
        let progress = replay.progress.clone();
        Ok(UnitReading {
            parts,
            config,
            id,
            interrupted,
            stored: progress.processed(),
            progress,
            replay,
        })
    }

    /// Runs until an end. Units that were marked and not asked for by then are left as they are.
    ///
    /// # Errors
    /// If log, store or catalog fail: the next attempt goes on from the last batch that was stored.
    pub(super) async fn run(mut self, shutdown: &CancellationToken) -> Result<End, StageError> {
        let pace = Pace::new(self.config.cpu_share);
        for i in 0..self.replay.spec.ranges.len() {
            let range = self.replay.spec.ranges[i];
            while self.progress.next[i] < range.to {
                let started = Instant::now();
                if !self.take(i, range, shutdown).await? {
                    if !shutdown.is_cancelled() {
                        self.units().end_reading(self.id).await?;
                    }
                    return Ok(End::Interrupted);
                }
                let rest = pace.rest(started.elapsed());
                tokio::select! {
                    () = self.interrupted.cancelled() => {}
                    () = pause(rest, shutdown) => {}
                }
            }
        }
        Ok(End::Through)
    }

    fn units(&self) -> &dyn telesift_ports::Catalog {
        &*self.parts.line.parts.catalog
    }

    /// Takes the next batch of a range, and stores how far that is; `false` if it was interrupted before.
    async fn take(
        &mut self,
        i: usize,
        range: ReplayRange,
        shutdown: &CancellationToken,
    ) -> Result<bool, StageError> {
        let at = TopicPartition::new(Topic::UNITS, range.partition);
        let (records, next) = self.read(&at, self.progress.next[i], range.to).await?;
        let mut progress = self.progress.clone();
        let n_lost = (next.0 - self.progress.next[i].0).saturating_sub(records.len() as u64);
        if n_lost > 0 {
            progress.result.ledger.skip("lost", n_lost);
        }
        let mut asked = Vec::new();
        for record in &records {
            if shutdown.is_cancelled() || self.interrupted.is_cancelled() {
                return Ok(false);
            }
            let ledger = &mut progress.result.ledger;
            match self.fate(record).await? {
                Fate::Skipped(reason) => ledger.skip(reason, 1),
                Fate::Failed(code) => ledger.fail(code),
                Fate::Unit(_, Planned::Left(reason)) => ledger.skip(reason, 1),
                Fate::Unit(_, Planned::Unknown(code)) => ledger.fail(code),
                Fate::Unit(_, Planned::Done) => {
                    ledger.received += 1;
                    ledger.judged += 1;
                    progress.result.reading.get_or_insert_default().units += 1;
                }
                Fate::Unit(id, Planned::Asked(from)) => {
                    ledger.received += 1;
                    ledger.judged += 1;
                    progress.result.reading.get_or_insert_default().add(from);
                    asked.push(id);
                }
            }
        }
        if !self.replay.spec.dry_run && !self.ask(&asked, shutdown).await? {
            return Ok(false);
        }
        progress.result.reading.get_or_insert_default();
        progress.next[i] = next;
        self.store(progress).await
    }

    /// The records before `to`, and where they end.
    async fn read(
        &self,
        at: &TopicPartition,
        from: Offset,
        to: Offset,
    ) -> Result<(Vec<StoredRecord>, Offset), StageError> {
        let limits = ReadLimits {
            max_records: self.config.batch_records.max(1),
            ..ReadLimits::default()
        };
        match self.parts.log.read(at, from, limits).await {
            Ok(batch) => {
                let mut records = batch.records;
                records.retain(|r| r.offset < to);
                Ok((records, batch.next.min(to)))
            }
            Err(record_log::Error::Evicted { first, .. }) => Ok((Vec::new(), first.min(to))),
            Err(error) => Err(error.into()),
        }
    }

    async fn fate(&self, record: &StoredRecord) -> Result<Fate, StageError> {
        let Ok(read) = serde_json::from_slice::<UnitRecord>(&record.value) else {
            return Ok(Fate::Failed("unreadable"));
        };
        let UnitEvent::Closed { unit, .. } = read.event else {
            return Ok(Fate::Skipped("no_unit"));
        };
        let row = self.units().units(std::slice::from_ref(&unit)).await?.pop();
        let Some(row) = row.filter(|row| row.origin.offset == record.offset) else {
            return Ok(Fate::Skipped("in_another_unit"));
        };
        let planned = self.parts.units.plan(&row, self.id).await?;
        Ok(Fate::Unit(unit, planned))
    }

    /// Has these units asked for, and waits until they are; `false` if it was interrupted before.
    async fn ask(
        &self,
        units: &[String],
        shutdown: &CancellationToken,
    ) -> Result<bool, StageError> {
        if units.is_empty() {
            return Ok(true);
        }
        self.units().read_again(units, self.id).await?;
        self.parts.units.wake();
        let mut asked_at = Instant::now();
        while self.units().n_read_again(self.id).await? > 0 {
            tokio::select! {
                () = self.interrupted.cancelled() => return Ok(false),
                () = pause(LOOK_EVERY, shutdown) => {}
            }
            if shutdown.is_cancelled() {
                return Ok(false);
            }
            if asked_at.elapsed() >= ASK_EVERY {
                asked_at = Instant::now();
                let replay = self.parts.catalog.replay(self.id).await?;
                if replay.is_none_or(|r| r.state != ReplayState::Running) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    async fn store(&mut self, progress: ReplayProgress) -> Result<bool, StageError> {
        let catalog = &self.parts.catalog;
        match catalog
            .put_replay_progress(self.id, self.stored, &progress)
            .await
        {
            Ok(()) => {
                self.stored = progress.processed();
                self.progress = progress;
                Ok(true)
            }
            // Whoever ended it has the last word.
            Err(catalog::Error::Conflict { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
