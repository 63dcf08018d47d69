//! The read-process-commit loop: batches of one or more partitions go to a stage, which commits their positions itself,
//! with or after its effect.

mod retries;

pub(crate) use retries::nothing;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use backon::{BackoffBuilder, ExponentialBuilder};
use futures::future::select_all;
use telesift_ports::{
    RecordLog, catalog,
    chain::ChainError,
    embedder::EmbedError,
    generations::GenerationsError,
    message_store,
    record_log::{self, Batch, Gap, GapReason, ReadLimits, StoredRecord},
    rules::RulesError,
};
use telesift_schemas::{DeadLetterCode, Offset, Topic, TopicPartition};
use tokio_util::sync::CancellationToken;

use crate::{
    dead_letter::{Refusal, Retry, Tried},
    telemetry,
};
use retries::Retries;

/// What a stage does with its inputs.
#[async_trait]
pub trait Process: Send {
    /// Where to go on: one position per input partition, in order.
    async fn positions(&mut self) -> Result<Vec<Offset>, StageError>;

    /// Processes the batches and commits the position [`Process::taken`] of each, with or after the effect. Called again
    /// with the same batches after a retryable error, so it must be idempotent up to its commit.
    async fn process(&mut self, inputs: &[Input]) -> Result<(), StageError>;

    /// The position after what [`Process::process`] has just committed of `input`: all of it, unless the stage leaves a
    /// rest to be read again.
    fn taken(&self, input: &Input) -> Offset {
        input.batch.next
    }

    /// Whether [`Process::look_ahead`] is of use: then the batches to come are read while more of them wait.
    fn looks_ahead(&self) -> bool {
        false
    }

    /// Told of the batches that follow, right before [`Process::process`] of those before them: what does not depend on
    /// those can be begun beside. They are processed next, unless the stage is shut down or leaves a rest of those before.
    fn look_ahead(&mut self, _inputs: &Arc<[Input]>) {}

    /// Called when every input is read to its end: what is due by the clock is done. Returns when to be called again though
    /// nothing comes; `None`: not before something does. Called again after a retryable error.
    async fn idle(&mut self) -> Result<Option<Duration>, StageError> {
        Ok(None)
    }

    /// Tries again an input this stage gave up on, alone. The effect must be what it would have been then, as far as the
    /// order of the log allows; counters are moved by [`telesift_ports::ledger::StageState::count_retry`]. Called again
    /// after a retryable error and after a restart, so it must be idempotent.
    async fn retry(&mut self, retry: &Retry) -> Result<Tried, StageError> {
        let reason = "this stage cannot try records again";
        Ok(Tried::Stored(Some(Refusal {
            code: DeadLetterCode::StoreRejected,
            message: reason.to_owned(),
            attempts: retry.request.attempt,
        })))
    }
}

/// A batch of one partition.
#[derive(Clone, Debug)]
pub struct Input {
    /// The partition.
    pub at: TopicPartition,
    /// The position it was read from.
    pub from: Offset,
    /// What was read. Its gaps are part of the range, and are counted as skipped.
    pub batch: Batch,
}

impl Input {
    /// One record, as a batch of its own.
    pub(crate) fn alone(at: &TopicPartition, record: &StoredRecord) -> Self {
        let next = record.offset.next();
        Input {
            at: at.clone(),
            from: record.offset,
            batch: Batch {
                records: vec![record.clone()],
                gaps: Vec::new(),
                next,
                end: next,
            },
        }
    }
}

/// Why a batch could not be processed.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The log failed.
    #[error(transparent)]
    Log(#[from] record_log::Error),
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] catalog::Error),
    /// The message store failed.
    #[error(transparent)]
    Store(#[from] message_store::Error),
    /// The embedding model failed.
    #[error(transparent)]
    Embed(#[from] EmbedError),
    /// The SmartModules cannot run.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// A SmartModule did not return. The range is noted; only a restart of the process gets rid of it.
    #[error("a SmartModule did not return within {timeout_s} s on `{at}` from offset {from}")]
    Hung {
        /// The input partition.
        at: TopicPartition,
        /// First offset of the range in flight.
        from: Offset,
        /// The watchdog's time, in seconds.
        timeout_s: u64,
    },
    /// The rules that hold there cannot be used by this build. Nothing behind is screened by others in their place: it
    /// waits until usable rules are activated from there on.
    #[error(
        "`{at}` waits at offset {from}: the rules `{rules}` that hold there cannot be used: {reason}; activate others from `unscreened` on"
    )]
    Rules {
        /// The input partition.
        at: TopicPartition,
        /// The next offset to be screened.
        from: Offset,
        /// The rule set.
        rules: String,
        /// Why it cannot be used.
        reason: String,
    },
    /// The list of generations cannot be read or changed.
    #[error(transparent)]
    Generations(#[from] GenerationsError),
    /// Stored state that this version cannot read.
    #[error("state `{key}` is unreadable: {reason}")]
    State {
        /// Its key.
        key: String,
        /// The parser's words.
        reason: String,
    },
}

impl StageError {
    /// Whether another worker goes on with this: the lease is lost, or he committed already. The one who finds that out
    /// stops; whoever holds the lease then starts from what is stored.
    pub fn is_handover(&self) -> bool {
        match self {
            StageError::Log(e) => matches!(
                e,
                record_log::Error::LeaseLost { .. } | record_log::Error::GuardFailed { .. }
            ),
            StageError::Catalog(e) => matches!(
                e,
                catalog::Error::LeaseLost { .. } | catalog::Error::Conflict { .. }
            ),
            StageError::Store(e) => matches!(e, message_store::Error::LeaseLost { .. }),
            _ => false,
        }
    }

    /// Whether the same batch may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            StageError::Log(e) => e.is_retryable(),
            StageError::Catalog(e) => e.is_retryable(),
            StageError::Store(e) => e.is_retryable(),
            StageError::Embed(e) => e.is_retryable(),
            StageError::Rules { .. } => true,
            StageError::Generations(GenerationsError::Log(e)) => e.is_retryable(),
            StageError::Generations(GenerationsError::Unreadable(_)) => false,
            StageError::Chain(_) | StageError::Hung { .. } | StageError::State { .. } => false,
        }
    }
}

impl From<RulesError> for StageError {
    fn from(error: RulesError) -> Self {
        match error {
            RulesError::Log(error) => error.into(),
            RulesError::Catalog(error) => error.into(),
            other => StageError::State {
                key: Topic::DECISIONS.to_string(),
                reason: other.to_string(),
            },
        }
    }
}

/// The loop of one stage over its input partitions.
pub struct Consumer {
    /// The log to read.
    pub log: Arc<dyn RecordLog>,
    /// The stage's name, for logs and metrics.
    pub stage: &'static str,
    /// Its input partitions.
    pub inputs: Vec<TopicPartition>,
    /// How much to read of each partition at once.
    pub limits: ReadLimits,
    /// The least time between the starts of two batches unless the inputs fill their limits: a store that pays per
    /// commit is spared many small ones. Zero = none.
    pub min_interval: Duration,
}

impl Consumer {
    /// Runs until `shutdown`; the batch in flight is finished first. Retryable failures are repeated in place, with
    /// jittered delays of 0.1 to 10 s, until they succeed or `shutdown` comes: the log keeps everything meanwhile.
    ///
    /// # Errors
    /// What no retry mends; the stage's partitions stand still until the process is restarted.
    pub async fn run(
        self,
        mut stage: impl Process,
        shutdown: CancellationToken,
    ) -> Result<(), StageError> {
        let Some(mut next) = self.retry(&shutdown, &mut stage, None).await? else {
            return Ok(());
        };
        let mut retries = Retries::default();
        let mut ahead: Option<Arc<[Input]>> = None;
        while !shutdown.is_cancelled() {
            self.run_retries(&mut stage, &mut retries, &shutdown)
                .await?;
            let started = Instant::now();
            let inputs = match ahead.take().filter(|ahead| self.is_next(&next, ahead)) {
                Some(ahead) => ahead,
                None => match self.read(&next, &shutdown).await? {
                    Some(inputs) => inputs.into(),
                    None => return Ok(()),
                },
            };
            if inputs.is_empty() {
                // Everything is read: what waited for the stage to come by is due.
                retries.look_again();
                self.run_retries(&mut stage, &mut retries, &shutdown)
                    .await?;
                let wake = self.idle(&mut stage, &shutdown).await?;
                self.wait(&next, &retries, wake, &shutdown).await?;
                retries.look_again();
                continue;
            }
            if stage.looks_ahead() && self.is_full(&inputs) {
                ahead = self.read_beyond(&next, &inputs).await;
                ahead.iter().for_each(|ahead| stage.look_ahead(ahead));
            }
            if self
                .retry(&shutdown, &mut stage, Some(&inputs))
                .await?
                .is_none()
            {
                return Ok(());
            }
            self.advance(&stage, &mut next, &inputs);
            telemetry::batch(
                self.stage,
                inputs.iter().map(|i| i.batch.records.len()).sum(),
                started.elapsed(),
            );
            if !self.is_full(&inputs) {
                pause(
                    self.min_interval.saturating_sub(started.elapsed()),
                    &shutdown,
                )
                .await;
            }
        }
        Ok(())
    }

    /// Loads positions (`inputs` absent) or processes a batch, repeating what is retryable. `None` = shut down first.
    async fn retry(
        &self,
        shutdown: &CancellationToken,
        stage: &mut impl Process,
        inputs: Option<&[Input]>,
    ) -> Result<Option<Vec<Offset>>, StageError> {
        let mut delays = delays();
        loop {
            let outcome = match inputs {
                None => stage.positions().await,
                Some(inputs) => stage.process(inputs).await.map(|()| Vec::new()),
            };
            match outcome {
                Ok(positions) => return Ok(Some(positions)),
                Err(e) if !e.is_retryable() => return Err(e),
                Err(e) => self.back_off(&e, &mut delays, shutdown).await,
            }
            if shutdown.is_cancelled() {
                return Ok(None);
            }
        }
    }

    /// What the stage does by the clock, repeating what is retryable.
    async fn idle(
        &self,
        stage: &mut impl Process,
        shutdown: &CancellationToken,
    ) -> Result<Option<Duration>, StageError> {
        let mut delays = delays();
        loop {
            match stage.idle().await {
                Err(e) if e.is_retryable() && !shutdown.is_cancelled() => {
                    self.back_off(&e, &mut delays, shutdown).await;
                }
                Err(e) if e.is_retryable() => return Ok(None),
                outcome => return outcome,
            }
        }
    }

    async fn back_off(
        &self,
        error: &StageError,
        delays: &mut impl Iterator<Item = Duration>,
        shutdown: &CancellationToken,
    ) {
        let delay = delays.next().unwrap_or(MAX_DELAY);
        metrics::counter!(telemetry::RETRIES, "stage" => self.stage).increment(1);
        tracing::warn!(stage = self.stage, delay_ms = delay.as_millis() as u64, %error, "will try again");
        pause(delay, shutdown).await;
    }

    /// Reads what there is of every partition; partitions without anything new are left out. `None` = shut down first.
    async fn read(
        &self,
        next: &[Offset],
        shutdown: &CancellationToken,
    ) -> Result<Option<Vec<Input>>, StageError> {
        let mut inputs = Vec::new();
        let mut delays = delays();
        for (at, &from) in self.inputs.iter().zip(next) {
            let input = loop {
                match self.read_one(at, from).await {
                    Ok(input) => break input,
                    Err(e) if e.is_retryable() => {
                        self.back_off(&e.into(), &mut delays, shutdown).await
                    }
                    Err(e) => return Err(e.into()),
                }
                if shutdown.is_cancelled() {
                    return Ok(None);
                }
            };
            inputs.extend(input);
        }
        Ok(Some(inputs))
    }

    /// What follows `inputs`, which were read from `next`. `None` if there is nothing or it cannot be read: it is read in
    /// its turn then.
    async fn read_beyond(&self, next: &[Offset], inputs: &[Input]) -> Option<Arc<[Input]>> {
        let mut beyond = Vec::new();
        for (at, &from) in self.inputs.iter().zip(next) {
            let input = inputs.iter().find(|input| input.at == *at);
            let from = input.map_or(from, |input| input.batch.next);
            beyond.extend(self.read_one(at, from).await.ok()?);
        }
        (!beyond.is_empty()).then(|| beyond.into())
    }

    /// What there is of a partition, if anything new.
    async fn read_one(
        &self,
        at: &TopicPartition,
        from: Offset,
    ) -> record_log::Result<Option<Input>> {
        let limits = ReadLimits {
            max_bytes: self
                .limits
                .max_bytes
                .min(MAX_READ_BYTES / self.inputs.len().max(1)),
            ..self.limits
        };
        let batch = match self.log.read(at, from, limits).await {
            Err(record_log::Error::Evicted { first, .. }) => evicted(from, first),
            other => other?,
        };
        telemetry::lag(self.stage, at, batch.end.0.saturating_sub(batch.next.0));
        Ok((batch.next > from).then(|| Input {
            at: at.clone(),
            from,
            batch,
        }))
    }

    /// Whether `inputs` begin where the stage goes on.
    fn is_next(&self, next: &[Offset], inputs: &[Input]) -> bool {
        let begins_there = |(at, from): (&TopicPartition, &Offset)| {
            let input = inputs.iter().find(|input| input.at == *at);
            input.is_none_or(|input| input.from == *from)
        };
        self.inputs.iter().zip(next).all(begins_there)
    }

    /// Waits until one of the partitions, or the topic of dead letters, has something new, or the stage wants to wake.
    async fn wait(
        &self,
        next: &[Offset],
        retries: &Retries,
        wake: Option<Duration>,
        shutdown: &CancellationToken,
    ) -> Result<(), StageError> {
        let letters = telesift_ports::dead_letters::partition();
        let asked = retries.seen().map(|seen| (&letters, seen));
        let inputs = self.inputs.iter().zip(next.iter().copied());
        let any = inputs
            .chain(asked)
            .map(|(at, next)| self.log.wait_beyond(at, next));
        let awake = async {
            match wake {
                Some(wake) => tokio::time::sleep(wake).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => Ok(()),
            () = awake => Ok(()),
            (outcome, _, _) = select_all(any) => match outcome {
                Ok(_) => Ok(()),
                Err(e) if e.is_retryable() => {
                    self.back_off(&e.into(), &mut delays(), shutdown).await;
                    Ok(())
                }
                Err(e) => Err(e.into()),
            },
        }
    }

    fn advance(&self, stage: &impl Process, next: &mut [Offset], inputs: &[Input]) {
        for input in inputs {
            if let Some(i) = self.inputs.iter().position(|at| *at == input.at) {
                next[i] = stage.taken(input);
            }
        }
    }

    fn is_full(&self, inputs: &[Input]) -> bool {
        inputs.iter().any(|i| i.batch.next < i.batch.end)
    }
}

/// A batch that stands for records the log no longer has.
fn evicted(from: Offset, first: Offset) -> Batch {
    let gap = Gap {
        from,
        to: first,
        reason: GapReason::Evicted,
    };
    Batch {
        records: Vec::new(),
        gaps: vec![gap],
        next: first,
        end: first,
    }
}

const MAX_DELAY: Duration = Duration::from_secs(10);

/// Bytes of keys and values one round reads over all partitions, about: what a stage holds in memory however many it owns.
const MAX_READ_BYTES: usize = 32 << 20;

pub(crate) fn delays() -> impl Iterator<Item = Duration> + Send {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(MAX_DELAY)
        .with_jitter()
        .without_max_times()
        .build()
}

pub(crate) async fn pause(delay: Duration, shutdown: &CancellationToken) {
    if delay.is_zero() {
        return;
    }
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = tokio::time::sleep(delay) => {}
    }
}
