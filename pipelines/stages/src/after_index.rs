//! Search first: stages that analyse wait while the index is far behind, so that what is imported is found soon.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use telesift_ports::{Catalog, RecordLog, ledger::StageKey};
use telesift_schemas::{Offset, TopicPartition};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::{
    consumer::{Input, Process, StageError, pause},
    dead_letter::{Retry, Tried},
    index,
};

/// When others wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexLagConfig {
    /// Records of `messages` the index may be behind while others work: more than a moment of live traffic, less than an
    /// import. 5,000 unless said otherwise.
    pub max_lag: u64,
    /// How often it is looked at, however many ask. 0.5 s unless said otherwise.
    pub look_every: Duration,
    /// An index that has not moved for so long is not waited for: its store may be away, and the others need not stand
    /// still. 10 s unless said otherwise.
    pub patience: Duration,
}

impl Default for IndexLagConfig {
    fn default() -> Self {
        IndexLagConfig {
            max_lag: 5_000,
            look_every: Duration::from_millis(500),
            patience: Duration::from_secs(10),
        }
    }
}

/// How far the index is behind `messages`, as its positions in the catalog tell; whichever process holds it.
pub struct IndexLag {
    log: Arc<dyn RecordLog>,
    catalog: Arc<dyn Catalog>,
    messages: Vec<TopicPartition>,
    config: IndexLagConfig,
    seen: Mutex<Option<Seen>>,
}

/// What the last look told.
#[derive(Clone, Copy)]
struct Seen {
    at: Instant,
    lag: u64,
    /// The sum of the index's positions.
    position: u64,
    /// Since when the sum is this one.
    moved: Instant,
}

impl IndexLag {
    /// That of the index over `messages`, all partitions of that topic.
    pub fn new(
        log: Arc<dyn RecordLog>,
        catalog: Arc<dyn Catalog>,
        messages: Vec<TopicPartition>,
        config: IndexLagConfig,
    ) -> Self {
        IndexLag {
            log,
            catalog,
            messages,
            config,
            seen: Mutex::default(),
        }
    }

    /// Whether it is so far behind that others should leave the machine to it, and getting on.
    ///
    /// # Errors
    /// If the log or the catalog fails.
    pub async fn is_far(&self) -> Result<bool, StageError> {
        let mut seen = self.seen.lock().await;
        let now = Instant::now();
        if let Some(seen) = &*seen
            && now - seen.at < self.config.look_every
        {
            return Ok(self.is_far_as(seen));
        }
        let (mut lag, mut position) = (0, 0);
        for at in &self.messages {
            let next = self.next(at).await?;
            let end = self.log.bounds(at).await?.end;
            position += next.0;
            lag += end.0.saturating_sub(next.0);
        }
        let stood = seen.filter(|s| s.position == position);
        let looked = Seen {
            at: now,
            lag,
            position,
            moved: stood.map_or(now, |s| s.moved),
        };
        *seen = Some(looked);
        Ok(self.is_far_as(&looked))
    }

    fn is_far_as(&self, seen: &Seen) -> bool {
        seen.lag > self.config.max_lag && seen.moved.elapsed() < self.config.patience
    }

    async fn next(&self, at: &TopicPartition) -> Result<Offset, StageError> {
        let key = StageKey {
            stage: index::STAGE.to_owned(),
            input: at.clone(),
        };
        let state = self.catalog.stage_state(&key).await?;
        Ok(state.unwrap_or_default().next)
    }
}

/// A stage that lets the index go first.
pub struct AfterIndex<P> {
    /// The stage.
    pub stage: P,
    /// Whom it waits for.
    pub lag: Arc<IndexLag>,
    /// Ends the waiting: what is in hand is then done at once.
    pub stop: CancellationToken,
}

#[async_trait]
impl<P: Process> Process for AfterIndex<P> {
    async fn positions(&mut self) -> Result<Vec<Offset>, StageError> {
        self.stage.positions().await
    }

    async fn process(&mut self, inputs: &[Input]) -> Result<(), StageError> {
        while !self.stop.is_cancelled() && self.lag.is_far().await? {
            pause(self.lag.config.look_every, &self.stop).await;
        }
        self.stage.process(inputs).await
    }

    fn taken(&self, input: &Input) -> Offset {
        self.stage.taken(input)
    }

    async fn idle(&mut self) -> Result<Option<Duration>, StageError> {
        self.stage.idle().await
    }

    async fn retry(&mut self, retry: &Retry) -> Result<Tried, StageError> {
        self.stage.retry(retry).await
    }
}
