//! A whole deployment on in-memory ports, with processes that come and go: screen, index, stories, generations, replays.

mod dying_log;
mod parts;
mod process;
mod slow;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use telesift_ports::{
    Embedder, Generations, RecordLog, RuleReader,
    ledger::{StageKey, StageState},
    memory::{ManualClock, MemoryCatalog, MemoryLog, MemoryRules, MemoryStores},
    record_log::{NewRecord, ReadLimits, StoredRecord, Transaction},
};
use telesift_schemas::{
    ChatId, Generation, Message, PartitionId, Topic, TopicPartition, partition_for_chat,
};
use telesift_stages::{
    after_index::{IndexLag, IndexLagConfig},
    decisions::rules::RulesBook,
    embed::EmbedConfig,
    generations::{Line, LineConfig, LineParts, Models, OpenStores, UpkeepConfig},
    origins::OriginLog,
};

pub(crate) use crate::flow::until;
pub(crate) use dying_log::DyingLog;
pub(crate) use process::{Process, is_ready, planner, replay_parts};
pub(crate) use slow::Slow;

use crate::{
    flow::{create_topics, model},
    index::Ones,
};
use parts::{cutting, raw};

pub(crate) const N_PARTITIONS: u32 = 2;

/// What outlives a process.
pub(crate) struct Works {
    pub(crate) log: Arc<MemoryLog>,
    pub(crate) catalog: Arc<MemoryCatalog>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) sets: Arc<MemoryStores>,
    /// The other model that is configured.
    pub(crate) slow: Arc<Slow>,
    config: UpkeepConfig,
}

/// A line on these parts, of which nothing runs.
pub(crate) async fn line(
    log: &Arc<MemoryLog>,
    catalog: &Arc<MemoryCatalog>,
    clock: &Arc<ManualClock>,
) -> Arc<Line> {
    let works = Works {
        log: log.clone(),
        catalog: catalog.clone(),
        clock: clock.clone(),
        sets: Arc::new(MemoryStores::default()),
        slow: Arc::new(Slow::new()),
        config: UpkeepConfig::default(),
    };
    works.line(log.clone()).await
}

impl Works {
    pub(crate) async fn new() -> Self {
        let clock = Arc::new(ManualClock::new("2026-01-05T10:00:00Z".parse().unwrap()));
        let log = MemoryLog::with_clock(clock.clone());
        Self::on(log, clock).await
    }

    /// The same on a log that has no transactions.
    pub(crate) async fn without_transactions() -> Self {
        let clock = Arc::new(ManualClock::new("2026-01-05T10:00:00Z".parse().unwrap()));
        Self::on(MemoryLog::without_transactions(clock.clone()), clock).await
    }

    async fn on(log: MemoryLog, clock: Arc<ManualClock>) -> Self {
        let log = Arc::new(log);
        create_topics(&log, |fixed| fixed.unwrap_or(N_PARTITIONS)).await;
        Works {
            log,
            clock,
            catalog: Arc::new(MemoryCatalog::new()),
            sets: Arc::new(MemoryStores::default()),
            slow: Arc::new(Slow::new()),
            config: UpkeepConfig {
                keep_for: None,
                look_every: Duration::from_millis(5),
                settle: Duration::ZERO,
                runs_first: false,
            },
        }
    }

    /// Generations that are not live go after this long.
    pub(crate) fn keep_for(&mut self, time: Duration) {
        self.config.keep_for = Some(time);
    }

    async fn line(&self, owned: Arc<dyn RecordLog>) -> Arc<Line> {
        let log = OriginLog::over(owned.clone());
        let generations = Arc::new(Generations::load(log.clone()).await.unwrap());
        let reader: Arc<dyn RuleReader> = Arc::new(MemoryRules::default());
        let book = RulesBook::load(log.clone(), reader).await.unwrap();
        let lag = IndexLag::new(
            log.clone(),
            self.catalog.clone(),
            Vec::new(),
            IndexLagConfig::default(),
        );
        let parts = LineParts {
            index_lag: Arc::new(lag),
            stores: Arc::new(OpenStores::new(
                self.sets.clone(),
                generations.clone(),
                Models::new(
                    Arc::new(Ones(model())),
                    [self.slow.clone() as Arc<dyn Embedder>],
                ),
            )),
            generations,
            catalog: self.catalog.clone(),
            chains: cutting(),
            book: Arc::new(book),
            clock: self.clock.clone(),
            owned,
            log,
        };
        let config = LineConfig {
            // Small, so that there are many places to stop at.
            screen_records: 3,
            index_records: 5,
            stories_records: 4,
            embed: EmbedConfig {
                batch: 4,
                pause: Duration::from_millis(1),
                max_pause: Duration::from_millis(5),
                ..EmbedConfig::default()
            },
            ..LineConfig::default()
        };
        Arc::new(Line::new(parts, config))
    }

    /// Appends raw records of these messages: chat, id, and the score they want.
    pub(crate) async fn append(&self, messages: &[(i64, i64, f64)]) {
        let appends = messages.iter().map(|(chat, id, score)| {
            let partition = partition_for_chat(ChatId(*chat), N_PARTITIONS);
            let record = NewRecord {
                key: chat.to_string().into(),
                value: raw(*chat, *id, *score).into(),
                unique: Vec::new(),
            };
            (TopicPartition::new(Topic::TELEGRAM_RAW, partition), record)
        });
        let transaction = Transaction::appends(appends.collect());
        self.log.commit(transaction).await.unwrap();
    }

    /// `n` messages of four chats, scores all over the range, and a few records that are no messages.
    pub(crate) async fn append_many(&self, ids: std::ops::Range<i64>) {
        let many: Vec<_> = ids
            .map(|id| (7 + id % 4, id, (id * 37 % 100) as f64 / 100.0))
            .collect();
        self.append(&many).await;
    }

    /// Every record of a topic as readers see it, partition by partition.
    pub(crate) async fn records(&self, topic: &Topic) -> Vec<Vec<StoredRecord>> {
        let limits = ReadLimits {
            max_records: 1 << 20,
            max_bytes: 1 << 30,
        };
        let log = OriginLog::over(self.log.clone());
        let mut all = Vec::new();
        for p in log.partitions(topic).await.unwrap() {
            let at = TopicPartition::new(topic.clone(), p.partition);
            all.push(log.read(&at, p.bounds.start, limits).await.unwrap().records);
        }
        all
    }

    /// Keys and values of a topic: all but the time of append.
    pub(crate) async fn contents(&self, topic: &Topic) -> Vec<Vec<(Bytes, Bytes)>> {
        let all = self.records(topic).await.into_iter();
        all.map(|p| p.into_iter().map(|r| (r.key, r.value)).collect())
            .collect()
    }

    /// The messages of a generation, by origin.
    pub(crate) async fn messages(&self, of: Generation) -> Vec<Message> {
        let records = self.records(&Topic::MESSAGES.of(of)).await;
        let read = |r: &StoredRecord| serde_json::from_slice(&r.value).unwrap();
        records.iter().flatten().map(read).collect()
    }

    /// State kept with the log whose key begins so.
    pub(crate) async fn states(&self, prefix: &str) -> Vec<(String, Bytes)> {
        self.log.state_with_prefix(prefix).await.unwrap()
    }

    /// Positions and counters of the stages that keep them in the catalog.
    pub(crate) async fn catalog_states(&self) -> BTreeMap<StageKey, StageState> {
        let states = telesift_ports::Catalog::stage_states(&*self.catalog).await;
        states.unwrap().into_iter().collect()
    }

    /// Asserts that the ledger of every stage is balanced, and returns its stages.
    pub(crate) async fn balanced(&self) -> Vec<String> {
        let mut stages = Vec::new();
        for (key, value) in self.states("stage/").await {
            let state: StageState = serde_json::from_slice(&value).unwrap();
            assert_eq!(state.counters.pending(), 0, "{key}: {state:?}");
            let counters = &state.counters;
            let sum =
                counters.emitted + counters.skipped.values().sum::<u64>() + counters.dead_lettered;
            assert_eq!(counters.received, sum, "{key}: {state:?}");
            stages.push(key);
        }
        stages
    }
}

/// The partition of a chat.
pub(crate) fn partition_of(chat: i64) -> PartitionId {
    partition_for_chat(ChatId(chat), N_PARTITIONS)
}
