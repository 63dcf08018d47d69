//! One run of one replay: reads its ranges from where they stand, and stores how far it came, now and then and at last.

use std::collections::VecDeque;

use telesift_ports::{
    catalog,
    record_log::{self, Batch, Gap, GapReason, ReadLimits, StoredRecord},
    replays::{BaseRules, Label, ReplayProgress, ReplayRange, RuleText},
};
use telesift_schemas::{Offset, Origin, Topic, TopicPartition};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    judge::{Fault, Judgement, Judges},
    run::Run,
    tally,
};
use crate::{StageError, consumer::delays, generations::Pace, telemetry};

/// How an attempt ended.
pub(super) enum End {
    /// The whole range is judged, and stored.
    Through,
    /// Paused, cancelled, or shut down; what was judged is stored where that was possible.
    Interrupted,
    /// It cannot go on, ever.
    Failed(String),
    /// A module did not return: failed, and the process must be replaced.
    Hung(StageError),
}

/// Why a step did not succeed: an end, or an error of the catalog, after which the next attempt takes up the last
/// checkpoint.
enum Stop {
    End(End),
    Error(StageError),
}

impl From<StageError> for Stop {
    fn from(error: StageError) -> Self {
        Stop::Error(error)
    }
}

impl From<catalog::Error> for Stop {
    fn from(error: catalog::Error) -> Self {
        StageError::from(error).into()
    }
}

pub(super) struct Attempt<'a> {
    run: Run<'a>,
    pace: Pace,
    base: BaseRules,
    progress: ReplayProgress,
    stored_at: Instant,
}

impl<'a> Attempt<'a> {
    pub(super) fn new(run: Run<'a>) -> Self {
        Attempt {
            pace: Pace::new(run.config.cpu_share),
            stored_at: Instant::now(),
            progress: run.replay.progress.clone(),
            run,
            base: BaseRules {
                sets: Vec::new(),
                sections: Vec::new(),
            },
        }
    }

    /// Runs until an end.
    ///
    /// # Errors
    /// If the catalog fails.
    pub(super) async fn run(mut self, shutdown: &CancellationToken) -> Result<End, StageError> {
        match self.judge_all(shutdown).await {
            Ok(()) => Ok(End::Through),
            Err(Stop::End(end)) => Ok(end),
            Err(Stop::Error(error)) => Err(error),
        }
    }

    async fn judge_all(&mut self, shutdown: &CancellationToken) -> Result<(), Stop> {
        let mut judges = self.judges(shutdown).await?;
        for i in 0..self.run.replay.spec.ranges.len() {
            let range = self.run.replay.spec.ranges[i];
            while self.progress.next[i] < range.to {
                let (set, until) = self.base.at(range.partition, self.progress.next[i]);
                let to = until.map_or(range.to, |until| until.min(range.to));
                let range = ReplayRange { to, ..range };
                if self.run.is_over(shutdown) {
                    self.store().await?;
                    return Err(Stop::End(End::Interrupted));
                }
                let started = Instant::now();
                let batch = self.read(range, self.progress.next[i], shutdown).await?;
                self.take(&mut judges, (i, set), batch).await?;
                if self.stored_at.elapsed() >= self.run.config.checkpoint_every {
                    self.store().await?;
                }
                let took = started.elapsed();
                self.run.rest(self.pace.rest(took), shutdown).await;
            }
        }
        self.store().await
    }

    /// The chains, once it is sure that the stored rules still judge as they did when the replay began.
    async fn judges(&mut self, shutdown: &CancellationToken) -> Result<Judges, Stop> {
        let rules = self.run.parts.catalog.replay_rules(self.run.id).await?;
        let Some(rules) = rules else {
            return Err(failed("its rules are gone"));
        };
        self.base = BaseRules::from_text(&rules.base, &self.run.replay.spec.base);
        let base = self.base.sets.iter().map(|set| (&set.json, &set.version));
        let new = (!rules.new.is_empty()).then_some(rules.new);
        for (json, version) in base.chain(new.iter().map(|new| (new, &self.run.replay.spec.rules)))
        {
            match self.run.parts.rules.read(&RuleText::Json(json.clone())) {
                Ok(read) if read.version == *version => {}
                Ok(read) => {
                    return Err(failed(format!(
                        "the rules `{version}` are `{}` in this version of telesift; start it again",
                        read.version
                    )));
                }
                Err(fault) => return Err(failed(format!("the rules `{version}`: {fault}"))),
            }
        }
        let base = self.base.sets.iter().map(|set| set.json.clone()).collect();
        tokio::select! {
            built = Judges::new(self.run.parts.chains.clone(), base, new) => built.map_err(failed),
            () = shutdown.cancelled() => Err(Stop::End(End::Interrupted)),
            () = self.run.interrupted.cancelled() => Err(Stop::End(End::Interrupted)),
        }
    }

    /// Reads on in `range`, repeating what is retryable; what retention took is a gap.
    async fn read(
        &self,
        range: ReplayRange,
        from: Offset,
        shutdown: &CancellationToken,
    ) -> Result<Batch, Stop> {
        let at = TopicPartition::new(Topic::TELEGRAM_RAW, range.partition);
        let limits = ReadLimits {
            max_records: self.run.config.batch_records.max(1),
            ..ReadLimits::default()
        };
        let mut delays = delays();
        loop {
            match self.run.parts.log.read(&at, from, limits).await {
                Ok(batch) if batch.next > from => return Ok(cut(batch, range.to)),
                Ok(_) => return Err(failed(format!("`{at}` ends at {from}, within the range"))),
                Err(record_log::Error::Evicted { first, .. }) => {
                    return Ok(evicted(from, first.min(range.to)));
                }
                Err(record_log::Error::Closed) => return Err(Stop::End(End::Interrupted)),
                Err(error) if error.is_retryable() => {
                    tracing::warn!(%error, "a replay waits for the log");
                    let delay = delays.next().unwrap_or_default();
                    self.run.rest(delay, shutdown).await;
                }
                Err(error) => return Err(failed(error)),
            }
            if self.run.is_over(shutdown) {
                return Err(Stop::End(End::Interrupted));
            }
        }
    }

    /// Judges and counts a batch of the range at index `i`, which the set at index `set` screened.
    async fn take(
        &mut self,
        judges: &mut Judges,
        (i, set): (usize, usize),
        batch: Batch,
    ) -> Result<(), Stop> {
        let partition = self.run.replay.spec.ranges[i].partition;
        let first = batch.records.first().map_or(batch.next, |r| r.offset);
        let judged = judges
            .judge(set, &batch.records, self.run.config.watchdog)
            .await;
        let at = TopicPartition::new(Topic::TELEGRAM_RAW, partition);
        let judgements = judged.map_err(|fault| self.faulty(fault, at, first))?;
        let mut labels = self.labels(&judgements).await?;
        for gap in &batch.gaps {
            let ledger = &mut self.progress.result.ledger;
            ledger.skip(gap_name(gap.reason), gap.to.0 - gap.from.0);
        }
        for (record, judgement) in batch.records.iter().zip(&judgements) {
            match judgement {
                Judgement::Skipped(reason) => self.progress.result.ledger.skip(reason, 1),
                Judgement::Failed(code) => self.progress.result.ledger.fail(code.as_str()),
                Judgement::Message(judged) => {
                    let origin = Origin {
                        topic: Topic::TELEGRAM_RAW,
                        partition,
                        offset: record.offset,
                    };
                    let label = labels.pop_front().flatten();
                    tally::add(&mut self.progress, judged, &origin, label);
                }
            }
        }
        self.progress.next[i] = batch.next;
        telemetry::replayed(batch.records.len());
        Ok(())
    }

    /// The label of each judged message, in order.
    async fn labels(&self, judgements: &[Judgement]) -> Result<VecDeque<Option<Label>>, Stop> {
        let asked: Vec<_> = judgements
            .iter()
            .filter_map(|j| match j {
                Judgement::Message(judged) => Some((judged.key, judged.edit)),
                _ => None,
            })
            .collect();
        Ok(self.run.parts.labels.labels(&asked).await?.into())
    }

    /// Stores positions and counts, where there are new ones.
    async fn store(&mut self) -> Result<(), Stop> {
        self.stored_at = Instant::now();
        if self.run.is_new(&self.progress) && !self.run.store(&self.progress).await? {
            return Err(Stop::End(End::Interrupted));
        }
        Ok(())
    }

    fn faulty(&self, fault: Fault, at: TopicPartition, from: Offset) -> Stop {
        match fault {
            Fault::Chain(error) => failed(error),
            Fault::Hung => Stop::End(End::Hung(StageError::Hung {
                at,
                from,
                timeout_s: self.run.config.watchdog.as_secs(),
            })),
        }
    }
}

fn failed(reason: impl ToString) -> Stop {
    Stop::End(End::Failed(reason.to_string()))
}

/// The part of `batch` before `to`.
fn cut(mut batch: Batch, to: Offset) -> Batch {
    if batch.next > to {
        batch.records.retain(|r: &StoredRecord| r.offset < to);
        batch.gaps.retain(|gap| gap.from < to);
        for gap in &mut batch.gaps {
            gap.to = gap.to.min(to);
        }
        batch.next = to;
    }
    batch
}

/// A batch that stands for records the log no longer has.
fn evicted(from: Offset, to: Offset) -> Batch {
    Batch {
        records: Vec::new(),
        gaps: vec![Gap {
            from,
            to,
            reason: GapReason::Evicted,
        }],
        next: to,
        end: to,
    }
}

fn gap_name(reason: GapReason) -> &'static str {
    match reason {
        GapReason::Evicted => "evicted",
        GapReason::Erased => "erased",
        GapReason::Corrupt => "corrupt",
        GapReason::Switched => "switched",
    }
}
