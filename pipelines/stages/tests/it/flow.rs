//! A small flow on in-memory parts, with a chain whose records say what is to become of them.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use serde_json::json;
use telesift_ports::{
    Catalog, Clock, RecordLog, RuleReader, SmartModuleChain,
    chain::{ChainError, ChainInput, ChainOutcome},
    embedder::EmbeddingModel,
    ledger::{Counters, StageKey, StageState},
    memory::{ManualClock, MemoryCatalog, MemoryLog, MemoryRules, MemoryStore},
    record_log::{NewRecord, ReadLimits, Retention, StoredRecord, TopicConfig, Transaction},
};
use telesift_schemas::{DeadLetter, DeadLetterCode, PartitionId, Topic, TopicPartition};
use telesift_stages::{
    Consumer, StageError,
    decisions::rules::RulesBook,
    screen::{self, ChainFactory, Screen},
};
use tokio_util::sync::CancellationToken;

pub(crate) struct Flow {
    pub(crate) log: Arc<MemoryLog>,
    pub(crate) catalog: Arc<MemoryCatalog>,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) clock: Arc<ManualClock>,
    /// Reads rule sets; another revision stands for another build.
    pub(crate) reader: Arc<dyn RuleReader>,
}

impl Flow {
    pub(crate) async fn new() -> Self {
        let clock = Arc::new(ManualClock::new("2026-01-05T10:00:00Z".parse().unwrap()));
        Self::on(MemoryLog::with_clock(clock.clone()), clock).await
    }

    /// The same on a log that has no transactions.
    pub(crate) async fn without_transactions() -> Self {
        let clock = Arc::new(ManualClock::new("2026-01-05T10:00:00Z".parse().unwrap()));
        Self::on(MemoryLog::without_transactions(clock.clone()), clock).await
    }

    async fn on(log: MemoryLog, clock: Arc<ManualClock>) -> Self {
        let log = Arc::new(log);
        create_topics(&log, |_| 1).await;
        Flow {
            log,
            catalog: Arc::new(MemoryCatalog::new()),
            store: Arc::new(MemoryStore::new(Some(model()))),
            clock,
            reader: Arc::new(MemoryRules::default()),
        }
    }

    /// The book as a process that starts now reads it.
    pub(crate) async fn book(&self) -> Arc<RulesBook> {
        let book = RulesBook::load(self.log.clone(), self.reader.clone()).await;
        Arc::new(book.unwrap())
    }

    pub(crate) async fn append(&self, topic: Topic, values: &[String]) {
        let appends = values
            .iter()
            .map(|v| {
                let record = NewRecord {
                    key: "7".into(),
                    value: Bytes::from(v.clone()),
                    unique: Vec::new(),
                };
                (at(topic.clone()), record)
            })
            .collect();
        self.log
            .commit(Transaction::appends(appends))
            .await
            .unwrap();
    }

    /// Runs the screen, as a process that starts now, until it has worked through everything, or fails.
    pub(crate) async fn screen(
        &self,
        batch_records: usize,
        watchdog: Duration,
    ) -> Result<(), StageError> {
        let book = self.book().await;
        self.screen_by(book, scripted(), batch_records, watchdog)
            .await
    }

    /// The same by a book and chains of one's own.
    pub(crate) async fn screen_by(
        &self,
        book: Arc<RulesBook>,
        chains: ChainFactory,
        batch_records: usize,
        watchdog: Duration,
    ) -> Result<(), StageError> {
        let input = at(Topic::TELEGRAM_RAW);
        let clock: Arc<dyn Clock> = self.clock.clone();
        let log = self.log.clone();
        let screen = Screen::new(log, clock, chains, book, input.clone(), watchdog);
        let consumer = Consumer {
            log: self.log.clone(),
            stage: screen::STAGE,
            inputs: vec![input],
            limits: ReadLimits {
                max_records: batch_records,
                ..ReadLimits::default()
            },
            min_interval: Duration::ZERO,
        };
        let stop = CancellationToken::new();
        let run = tokio::spawn(consumer.run(screen, stop.clone()));
        self.wait_for(&run, async || {
            let end = self.log.bounds(&at(Topic::TELEGRAM_RAW)).await.unwrap().end;
            self.screen_state().await.next == end
        })
        .await;
        stop.cancel();
        run.await.unwrap()
    }

    pub(crate) async fn wait_for<T>(
        &self,
        run: &tokio::task::JoinHandle<T>,
        is_done: impl AsyncFn() -> bool,
    ) {
        let wait = async {
            while !run.is_finished() && !is_done().await {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), wait)
            .await
            .expect("the stage gets through");
    }

    pub(crate) async fn screen_state(&self) -> StageState {
        let key = StageKey {
            stage: screen::STAGE.into(),
            input: at(Topic::TELEGRAM_RAW),
        };
        match self.log.state(&key.state_key()).await.unwrap() {
            Some(bytes) => serde_json::from_slice(&bytes).unwrap(),
            None => StageState::default(),
        }
    }

    pub(crate) async fn index_state(&self) -> StageState {
        let key = StageKey {
            stage: "index".into(),
            input: at(Topic::MESSAGES),
        };
        self.catalog
            .stage_state(&key)
            .await
            .unwrap()
            .unwrap_or_default()
    }

    pub(crate) async fn records(&self, topic: Topic) -> Vec<StoredRecord> {
        let limits = ReadLimits {
            max_records: 1 << 20,
            max_bytes: 1 << 30,
        };
        let from = self.log.bounds(&at(topic.clone())).await.unwrap().start;
        self.log
            .read(&at(topic), from, limits)
            .await
            .unwrap()
            .records
    }

    /// Origin offsets of `messages`, in order.
    pub(crate) async fn screened(&self) -> Vec<u64> {
        let records = self.records(Topic::MESSAGES).await;
        records
            .iter()
            .map(|r| {
                serde_json::from_slice::<serde_json::Value>(&r.value).unwrap()["origin"]["offset"]
                    .as_u64()
                    .unwrap()
            })
            .collect()
    }

    /// Origin offset, code and attempts of `dead-letters`, in order.
    pub(crate) async fn dead_letters(&self) -> Vec<(u64, DeadLetterCode, u32)> {
        let records = self.records(Topic::DEAD_LETTERS).await;
        records
            .iter()
            .map(|r| serde_json::from_slice::<DeadLetter>(&r.value).unwrap())
            .map(|d| (d.origin.offset.0, d.code, d.attempts))
            .collect()
    }
}

/// Every topic, in so many partitions: by how many it always has, if that is fixed.
pub(crate) async fn create_topics(log: &MemoryLog, partitions: impl Fn(Option<u32>) -> u32) {
    for (topic, fixed) in Topic::ALL {
        let config = TopicConfig {
            partitions: partitions(fixed),
            retention: Retention::default(),
        };
        log.create_topic(&topic, config).await.unwrap();
    }
}

/// Asks until there is an answer.
pub(crate) async fn until<T>(ask: impl AsyncFn() -> Option<T>) -> T {
    let wait = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), wait).await;
    waited.expect("it gets there")
}

/// Runs a test that leaves threads hanging, on a runtime of its own: each process of it is one of its own in real life.
pub(crate) fn with_hanging_threads(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(test);
    runtime.shutdown_background();
}

/// Texts of one dimension.
pub(crate) fn model() -> EmbeddingModel {
    EmbeddingModel {
        id: "ones@1".into(),
        dimensions: 1,
    }
}

pub(crate) fn at(topic: Topic) -> TopicPartition {
    TopicPartition::new(topic, PartitionId(0))
}

/// A message record without `origin`, as the chain gives it.
pub(crate) fn message(id: i64, edit: i64, text: &str) -> String {
    json!({
        "v": 1, "id": format!("7:{id}"), "chat": {"id": "7", "title": "Ops", "kind": "private"}, "message_id": id,
        "edit": edit, "event_time": "2026-01-05T10:00:00Z", "author": null, "kind": "text", "text": text, "lang": "en",
        "reply_to": null, "thread": null, "forward": null, "links": [], "media": null, "reactions": {},
        "deleted_at": null,
        "screen": {"class": "signal", "score": 0.9, "factors": {}, "flags": [], "rules": "test@1+0"},
    })
    .to_string()
}

pub(crate) fn conserved(counters: &Counters) -> bool {
    counters.pending() == 0
}

/// A chain that takes each record's word for what becomes of it: a message stands for itself, screened by the rules of
/// the chain, `fail`, `trap`, `filter` and `hang` for what their names say.
pub(crate) fn scripted() -> ChainFactory {
    Arc::new(|set| {
        Ok(Box::new(Scripted {
            rules: set.version.clone(),
        }) as Box<dyn SmartModuleChain>)
    })
}

struct Scripted {
    rules: String,
}

impl SmartModuleChain for Scripted {
    fn process(&mut self, inputs: &[ChainInput]) -> Result<Vec<ChainOutcome>, ChainError> {
        Ok(inputs
            .iter()
            .map(|input| outcome(&input.value, &self.rules))
            .collect())
    }
}

fn outcome(value: &Bytes, rules: &str) -> ChainOutcome {
    let failed = |code| ChainOutcome::Failed {
        module: "scripted".into(),
        code,
        message: "as told".into(),
    };
    match value.as_ref() {
        b"fail" => failed(DeadLetterCode::GuestError),
        b"trap" => failed(DeadLetterCode::GuestTrap),
        b"filter" => ChainOutcome::Filtered,
        b"hang" => loop {
            std::thread::park();
        },
        _ => {
            let text = String::from_utf8_lossy(value);
            ChainOutcome::Value(text.replace("test@1+0", rules).into())
        }
    }
}
