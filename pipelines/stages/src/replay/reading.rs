//! One run of a replay of `extract`: recorded units in; those that somebody else would be asked about now are asked for anew.
//!
//! What is answered is the reading of the generation it fills, and counts where that is live; a unit it did not ask for is read
//! as in the generation it was made from. The stage `extract` asks, within its budgets; this marks the units, a batch at a
//! time, and waits for them. A dry run only counts.

use std::{collections::BTreeSet, time::Duration};

use futures::future::{BoxFuture, try_join_all};
use telesift_ports::{
    extractor::Answers,
    record_log::{self, ReadLimits, StoredRecord},
    replays::{ReplayProgress, ReplayRange},
};
use telesift_schemas::{Generation, Offset, Topic, TopicPartition, UnitEvent, UnitRecord};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{attempt::End, build::Build, run::Run};
use crate::{StageError, extract::Planned, generations::Pace};

/// How often it is looked whether what was marked is answered.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Units looked at at once: their messages come from the store in one look-up.
const AT_ONCE: usize = 32;
/// How often it is asked whether it was paused or cancelled elsewhere.
const ASK_EVERY: Duration = Duration::from_secs(1);

pub(super) struct UnitReading<'a> {
    run: Run<'a>,
    progress: ReplayProgress,
    /// The generation it fills; none of a dry run.
    generation: Option<Generation>,
    /// How long others were waited for: that is no work, and needs no rest.
    waited: Duration,
}

/// What a record comes to.
enum Fate {
    Skipped(&'static str),
    Failed(&'static str),
    Unit(String, Planned),
}

/// What of a batch is to be done, and is counted when it is.
#[derive(Default)]
struct Batch {
    asked: Vec<(String, Answers)>,
    /// Units that were asked for by an earlier try of this batch.
    n_done: u64,
}

impl<'a> UnitReading<'a> {
    pub(super) fn new(run: Run<'a>) -> Self {
        UnitReading {
            progress: run.replay.progress.clone(),
            run,
            generation: None,
            waited: Duration::ZERO,
        }
    }

    /// Runs until an end; `build` makes its generation, which a dry run has not.
    ///
    /// # Errors
    /// If log, store or catalog fail: the next attempt goes on from the last batch that was stored.
    pub(super) async fn run(
        mut self,
        build: Option<Build<'a>>,
        shutdown: &CancellationToken,
    ) -> Result<End, StageError> {
        let Some(build) = build else {
            return self.read_all(shutdown).await;
        };
        let Some(entry) = build.entry().await? else {
            return Ok(End::Failed(
                "the generation it is made from is gone".to_owned(),
            ));
        };
        self.generation = Some(entry.generation);
        if entry.state == telesift_ports::generations::GenerationState::Ready {
            return Ok(End::Through); // the last process ended in between
        }
        let end = self.read_all(shutdown).await?;
        if !shutdown.is_cancelled() {
            // What was marked and not asked for by then is left as it is.
            self.units().end_reading(entry.generation).await?;
        }
        build.settle(&entry, &end).await?;
        Ok(end)
    }

    async fn read_all(&mut self, shutdown: &CancellationToken) -> Result<End, StageError> {
        let pace = Pace::new(self.run.config.cpu_share);
        for i in 0..self.run.replay.spec.ranges.len() {
            let range = self.run.replay.spec.ranges[i];
            while self.progress.next[i] < range.to {
                if let Some(reason) = self.is_void() {
                    return Ok(End::Failed(reason));
                }
                let started = Instant::now();
                self.waited = Duration::ZERO;
                if !self.take(i, range, shutdown).await? {
                    return Ok(End::Interrupted);
                }
                let worked = started.elapsed().saturating_sub(self.waited);
                self.run.rest(pace.rest(worked), shutdown).await;
            }
        }
        Ok(End::Through)
    }

    fn units(&self) -> &dyn telesift_ports::Catalog {
        &*self.run.parts.line.parts.catalog
    }

    /// Why it cannot go on: what it would leave as it is must be what the generation it is made from has.
    fn is_void(&self) -> Option<String> {
        self.generation?;
        let register = self.run.parts.generations().now();
        let base = self
            .run
            .replay
            .spec
            .base_generation
            .unwrap_or(register.live);
        let base = register.entry(base)?.parts.knowledge;
        (base != register.live_parts().knowledge).then(|| {
            "conversations of another generation count since it began; ask for it again".to_owned()
        })
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
        let mut batch = Batch::default();
        for records in records.chunks(AT_ONCE) {
            if self.run.is_over(shutdown) {
                return Ok(false);
            }
            for fate in self.fates(records).await? {
                let ledger = &mut progress.result.ledger;
                match fate {
                    Fate::Skipped(reason) => ledger.skip(reason, 1),
                    Fate::Failed(code) => ledger.fail(code),
                    Fate::Unit(_, Planned::Left(reason)) => ledger.skip(reason, 1),
                    Fate::Unit(_, Planned::Unknown(code)) => ledger.fail(code),
                    Fate::Unit(_, Planned::Done) => batch.n_done += 1,
                    Fate::Unit(id, Planned::Asked(from)) => batch.asked.push((id, from)),
                }
            }
        }
        let asked_at = Instant::now();
        let asked = self.ask(&batch, shutdown).await?;
        self.waited = asked_at.elapsed();
        let Some(read) = asked else {
            return Ok(false);
        };
        count(&mut progress, &batch, |unit| read.contains(unit));
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
            max_records: self.run.config.batch_records.max(1),
            ..ReadLimits::default()
        };
        match self.run.parts.log.read(at, from, limits).await {
            Ok(batch) => {
                let mut records = batch.records;
                records.retain(|r| r.offset < to);
                Ok((records, batch.next.min(to)))
            }
            Err(record_log::Error::Evicted { first, .. }) => Ok((Vec::new(), first.min(to))),
            Err(error) => Err(error.into()),
        }
    }

    /// What records come to, looked at at once.
    async fn fates(&self, records: &[StoredRecord]) -> Result<Vec<Fate>, StageError> {
        let mut all: Vec<BoxFuture<'_, Result<Fate, StageError>>> = Vec::new();
        for record in records {
            all.push(Box::pin(self.fate(record)));
        }
        try_join_all(all).await
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
        let planned = self.run.parts.units.plan(&row, self.generation).await?;
        Ok(Fate::Unit(unit, planned))
    }

    /// Has the units of a batch asked for, and waits until they are; those that were read then, all of them in a dry run.
    /// `None` if it was interrupted before.
    async fn ask(
        &self,
        batch: &Batch,
        shutdown: &CancellationToken,
    ) -> Result<Option<BTreeSet<String>>, StageError> {
        let units: Vec<String> = batch.asked.iter().map(|(unit, _)| unit.clone()).collect();
        let Some(generation) = self.generation.filter(|_| !units.is_empty()) else {
            return Ok(Some(units.into_iter().collect()));
        };
        self.units().read_again(&units, generation).await?;
        self.run.parts.units.wake();
        let mut asked_at = Instant::now();
        while self.units().n_read_again(generation).await? > 0 {
            self.run.rest(LOOK_EVERY, shutdown).await;
            if self.run.is_over(shutdown) {
                return Ok(None);
            }
            if asked_at.elapsed() >= ASK_EVERY {
                asked_at = Instant::now();
                if !self.run.is_wanted().await? {
                    return Ok(None);
                }
            }
        }
        let mut readings = self.units().readings_of(&units).await?;
        readings.retain(|row| row.generation == generation);
        Ok(Some(readings.into_iter().map(|row| row.unit).collect()))
    }

    async fn store(&mut self, progress: ReplayProgress) -> Result<bool, StageError> {
        let is_stored = self.run.store(&progress).await?;
        if is_stored {
            self.progress = progress;
        }
        Ok(is_stored)
    }
}

/// Counts the units of a batch. What was asked for and not read became a dead letter, or changed meanwhile and is read for all.
fn count(progress: &mut ReplayProgress, batch: &Batch, is_read: impl Fn(&String) -> bool) {
    let reading = progress.result.reading.get_or_insert_default();
    let ledger = &mut progress.result.ledger;
    reading.units += batch.n_done;
    ledger.received += batch.n_done;
    ledger.judged += batch.n_done;
    for (unit, from) in &batch.asked {
        match is_read(unit) {
            true => {
                reading.add(*from);
                ledger.received += 1;
                ledger.judged += 1;
            }
            false => ledger.fail("not_read"),
        }
    }
}
