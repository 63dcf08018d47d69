//! A worker that freezes with work in its hands, and wakes when another has long gone on: nothing holds a trace of it.
//!
//! Here everything runs in one process, so that it can be frozen to the instruction: what would leave the worker waits at
//! a gate. `workers` does the same to real processes.

mod gate;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bytes::Bytes;
use telesift_ports::{
    Catalog, Clock, Leases, MessageStore, RecordLog, SmartModuleChain,
    chain::{ChainError, ChainInput, ChainOutcome},
    contract::message_store::fixtures::{message, model, screen as screen_of},
    embedder::{EmbedError, EmbeddingCost, EmbeddingModel, Purpose},
    leases::{self, Lease, STORE, Term},
    ledger::{StageKey, StageState},
    memory::{ManualClock, MemoryCatalog, MemoryLog, MemoryRules},
    message_store::MessageFilter,
    record_log::{NewRecord, ReadLimits, Retention, StoredRecord, TopicConfig, Transaction},
};
use telesift_schemas::{Message, Offset, PartitionId, Topic, TopicPartition};
use telesift_stages::{
    Consumer, Crew, StageError, WorkerConfig,
    consumer::Process,
    decisions::rules::RulesBook,
    index::{self, Index},
    screen::{self, ChainFactory, Screen},
    workers::DutyError,
};
use telesift_store_lance::{LanceStore, LanceStoreConfig};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use gate::{Gate, GatedLog, GatedStore};

const N_PARTITIONS: u32 = 4;
/// Long in real time, so that nobody loses a lease but by the clock of the test.
const TTL: Duration = Duration::from_secs(3_600);

/// What both workers share.
struct World {
    clock: Arc<ManualClock>,
    log: Arc<dyn RecordLog>,
    catalog: Arc<MemoryCatalog>,
    folder: tempfile::TempDir,
}

/// Everything a user could see, and the ledger.
#[derive(Debug, PartialEq)]
struct Seen {
    messages: Vec<Vec<StoredRecord>>,
    current: Vec<Message>,
    history: Vec<Vec<Message>>,
    n_rows: (u64, u64),
    ledger: Vec<(StageKey, StageState)>,
    positions: Vec<(String, Bytes)>,
    n_dead_letters: Offset,
}

impl World {
    async fn new() -> Self {
        let clock = Arc::new(ManualClock::default());
        let log: Arc<dyn RecordLog> = Arc::new(MemoryLog::with_clock(clock.clone()));
        for (topic, partitions) in Topic::ALL {
            let config = TopicConfig {
                partitions: partitions.unwrap_or(N_PARTITIONS),
                retention: Retention::default(),
            };
            log.create_topic(&topic, config).await.unwrap();
        }
        World {
            catalog: Arc::new(MemoryCatalog::with_clock(clock.clone())),
            folder: tempfile::tempdir().unwrap(),
            clock,
            log,
        }
    }

    async fn store(&self) -> Arc<LanceStore> {
        let uri = self.folder.path().to_str().unwrap();
        let config = LanceStoreConfig::new(uri, Some(model()));
        Arc::new(LanceStore::open(config).await.unwrap())
    }

    /// Raw records: three messages a partition, and an edit of the first.
    async fn append(&self, round: i64) {
        let mut appends = Vec::new();
        for p in 0..N_PARTITIONS {
            let chat = i64::from(p) + 1;
            for i in 0..3 {
                appends.push(raw(p, message(chat, round * 3 + i + 1, "steady rain")));
            }
            let mut edit = message(chat, 1, "steady snow");
            edit.edit = 1_767_700_000 + round;
            appends.push(raw(p, edit));
        }
        self.log
            .commit(Transaction::appends(appends))
            .await
            .unwrap();
    }

    async fn end(&self, topic: Topic, partition: u32) -> Offset {
        let at = TopicPartition::new(topic, PartitionId(partition));
        self.log.bounds(&at).await.unwrap().end
    }

    async fn screened(&self, partition: u32) -> Offset {
        let input = TopicPartition::new(Topic::TELEGRAM_RAW, PartitionId(partition));
        let stage = screen::STAGE.to_owned();
        let key = StageKey { stage, input }.state_key();
        let state = self.log.state(&key).await.unwrap();
        state.map_or(Offset::ZERO, |bytes| {
            serde_json::from_slice::<StageState>(&bytes).unwrap().next
        })
    }

    /// Whether every raw record is screened and every message indexed.
    async fn is_done(&self) -> bool {
        for p in 0..N_PARTITIONS {
            let input = TopicPartition::new(Topic::MESSAGES, PartitionId(p));
            let stage = index::STAGE.to_owned();
            let indexed = self.catalog.stage_state(&StageKey { stage, input }).await;
            let indexed = indexed.unwrap().map_or(Offset::ZERO, |s| s.next);
            let is_screened = self.screened(p).await == self.end(Topic::TELEGRAM_RAW, p).await;
            if !is_screened || indexed != self.end(Topic::MESSAGES, p).await {
                return false;
            }
        }
        true
    }

    async fn until_done(&self) {
        while !self.is_done().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn seen(&self) -> Seen {
        let store = self.store().await;
        let everything = MessageFilter {
            include_noise: true,
            ..MessageFilter::default()
        };
        let current = store.list(&everything, None, 1_000).await.unwrap();
        let mut history = Vec::new();
        for message in &current {
            history.push(store.history(&message.id).await.unwrap());
        }
        let mut messages = Vec::new();
        for p in 0..N_PARTITIONS {
            let at = TopicPartition::new(Topic::MESSAGES, PartitionId(p));
            let batch = self.log.read(&at, Offset::ZERO, ReadLimits::default());
            messages.push(batch.await.unwrap().records);
        }
        let stats = store.stats().await.unwrap();
        Seen {
            messages,
            current,
            history,
            n_rows: (stats.n_messages, stats.n_versions),
            ledger: self.catalog.stage_states().await.unwrap(),
            positions: self.log.state_with_prefix("stage/").await.unwrap(),
            n_dead_letters: self.end(Topic::DEAD_LETTERS, 0).await,
        }
    }
}

fn raw(partition: u32, mut message: Message) -> (TopicPartition, NewRecord) {
    message.origin = None;
    let _ = screen_of(&mut message);
    let record = NewRecord {
        key: message.chat.id.to_string().into(),
        value: serde_json::to_vec(&message).unwrap().into(),
        unique: Vec::new(),
    };
    let at = TopicPartition::new(Topic::TELEGRAM_RAW, PartitionId(partition));
    (at, record)
}

/// Raw records here are screened messages already.
struct Through;

impl SmartModuleChain for Through {
    fn process(&mut self, inputs: &[ChainInput]) -> Result<Vec<ChainOutcome>, ChainError> {
        let values = inputs.iter().map(|i| ChainOutcome::Value(i.value.clone()));
        Ok(values.collect())
    }
}

/// Vectors are not what this is about.
struct Flat(EmbeddingModel);

#[async_trait::async_trait]
impl telesift_ports::Embedder for Flat {
    fn model(&self) -> &EmbeddingModel {
        &self.0
    }

    fn cost(&self) -> EmbeddingCost {
        EmbeddingCost::Negligible
    }

    async fn embed(&self, texts: &[&str], _: Purpose) -> Result<Vec<Vec<f32>>, EmbedError> {
        let mut vector = vec![0.0; self.0.dimensions];
        vector[0] = 1.0;
        Ok(vec![vector; texts.len()])
    }
}

/// What one worker does its work with.
#[derive(Clone)]
struct Parts {
    log: Arc<dyn RecordLog>,
    store: Arc<dyn MessageStore>,
    catalog: Arc<MemoryCatalog>,
    clock: Arc<dyn Clock>,
    book: Arc<RulesBook>,
}

impl Parts {
    async fn of(world: &World, log: Arc<dyn RecordLog>, store: Arc<dyn MessageStore>) -> Self {
        let book = RulesBook::load(log.clone(), Arc::new(MemoryRules::default())).await;
        Parts {
            log,
            store,
            catalog: world.catalog.clone(),
            clock: world.clock.clone(),
            book: Arc::new(book.unwrap()),
        }
    }

    async fn screen(
        self,
        partition: u32,
        term: Term,
        stop: CancellationToken,
    ) -> Result<(), StageError> {
        let input = TopicPartition::new(Topic::TELEGRAM_RAW, PartitionId(partition));
        let chains: ChainFactory = Arc::new(|_| Ok(Box::new(Through) as Box<dyn SmartModuleChain>));
        let screen = Screen::new(
            self.log.clone(),
            self.clock.clone(),
            chains,
            self.book.clone(),
            input.clone(),
            TTL,
        );
        let screen = screen.under(term.fence().clone());
        self.run(screen::STAGE, vec![input], screen, stop).await
    }

    async fn index(self, term: Term, stop: CancellationToken) -> Result<(), StageError> {
        self.store.begin_term(term.clone()).await?;
        let inputs: Vec<TopicPartition> = (0..N_PARTITIONS)
            .map(|p| TopicPartition::new(Topic::MESSAGES, PartitionId(p)))
            .collect();
        let index = Index::new(
            self.log.clone(),
            self.store.clone(),
            self.catalog.clone(),
            Arc::new(Flat(model())),
            self.clock.clone(),
            inputs.clone(),
        );
        let index = index.under(term.fence().clone());
        self.run(index::STAGE, inputs, index, stop).await
    }

    async fn run(
        &self,
        stage: &'static str,
        inputs: Vec<TopicPartition>,
        process: impl Process,
        stop: CancellationToken,
    ) -> Result<(), StageError> {
        let consumer = Consumer {
            log: self.log.clone(),
            stage,
            inputs,
            limits: ReadLimits::default(),
            min_interval: Duration::ZERO,
        };
        consumer.run(process, stop).await
    }
}

/// The worker that freezes: it holds every lease, and notices nothing of what becomes of them.
struct Sleeper {
    at_the_log: Arc<Gate>,
    at_the_store: Arc<Gate>,
    tasks: Vec<JoinHandle<Result<(), StageError>>>,
}

impl Sleeper {
    async fn start(world: &World) -> Self {
        let (at_the_log, at_the_store) = (Gate::open(), Gate::open());
        let log = Arc::new(GatedLog(world.log.clone(), at_the_log.clone()));
        let store = Arc::new(GatedStore(world.store().await, at_the_store.clone()));
        let parts = Parts::of(world, log, store).await;
        let term = async |name: String| {
            let lease = world.catalog.acquire(&name, "sleeper", TTL).await;
            let lease: Lease = lease.unwrap().unwrap();
            Term::new(lease.fence(), world.catalog.clone())
        };
        let mut tasks = Vec::new();
        for p in 0..N_PARTITIONS {
            let term = term(format!("screen/{p}")).await;
            let screen = parts.clone().screen(p, term, CancellationToken::new());
            tasks.push(tokio::spawn(screen));
        }
        let index = parts.index(term(STORE.to_owned()).await, CancellationToken::new());
        tasks.push(tokio::spawn(index));
        Sleeper {
            at_the_log,
            at_the_store,
            tasks,
        }
    }
}

/// The worker that takes over.
struct Heir {
    stop: CancellationToken,
    task: JoinHandle<Result<(), DutyError>>,
}

impl Heir {
    async fn start(world: &World) -> Self {
        let parts = Parts::of(world, world.log.clone(), world.store().await).await;
        let config = WorkerConfig {
            id: "heir".to_owned(),
            roles: BTreeSet::from(["screen", "index"]),
            lease: TTL,
        };
        let mut crew = Crew::new(config, world.catalog.clone());
        for p in 0..N_PARTITIONS {
            let parts = parts.clone();
            let at = TopicPartition::new(Topic::TELEGRAM_RAW, PartitionId(p));
            let lease = leases::of_partition(screen::STAGE, &at);
            crew.add("screen", screen::STAGE, lease, move |held| {
                let parts = parts.clone();
                async move { Ok(parts.screen(p, held.term, held.stop).await?) }
            });
        }
        crew.add("index", STORE, STORE, move |held| {
            let parts = parts.clone();
            async move { Ok(parts.index(held.term, held.stop).await?) }
        });
        let stop = CancellationToken::new();
        Heir {
            task: tokio::spawn(crew.run(stop.clone())),
            stop,
        }
    }
}

#[tokio::test]
async fn a_worker_frozen_with_work_in_its_hands_leaves_no_trace_when_it_wakes() {
    let world = World::new().await;
    let sleeper = Sleeper::start(&world).await;
    world.append(0).await;
    world.until_done().await;

    // The index freezes with a batch it is about to store, the screens with a batch they are about to append.
    sleeper.at_the_store.shut();
    world.append(1).await;
    sleeper.at_the_store.until_waiting(1).await;
    while !all_screened(&world).await {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    sleeper.at_the_log.shut();
    world.append(2).await;
    sleeper
        .at_the_log
        .until_waiting(N_PARTITIONS as usize)
        .await;

    // Its leases end; another takes them, and does what it had in its hands.
    world.clock.advance(2 * TTL);
    let heir = Heir::start(&world).await;
    world.until_done().await;
    let before = world.seen().await;
    let n_messages = u64::from(N_PARTITIONS) * 9;
    assert_eq!(before.n_rows, (n_messages, u64::from(N_PARTITIONS) * 3));
    assert!(before.current.iter().any(|m| m.text == "steady snow"));
    for (key, state) in &before.ledger {
        assert_eq!(state.counters.pending(), 0, "{key:?}");
        assert_eq!(state.counters.received, 12, "{key:?}");
    }

    // It wakes. Everything it does is refused, and it knows why.
    sleeper.at_the_log.open_again();
    sleeper.at_the_store.open_again();
    for task in sleeper.tasks {
        let ended = task.await.unwrap();
        assert!(
            ended.as_ref().is_err_and(StageError::is_handover),
            "{ended:?}"
        );
    }
    assert_eq!(world.seen().await, before);

    // The heir goes on as if nothing had been.
    world.append(3).await;
    world.until_done().await;
    assert_eq!(world.seen().await.n_rows.0, u64::from(N_PARTITIONS) * 12);
    heir.stop.cancel();
    heir.task.await.unwrap().unwrap();
}

async fn all_screened(world: &World) -> bool {
    for p in 0..N_PARTITIONS {
        if world.screened(p).await != world.end(Topic::TELEGRAM_RAW, p).await {
            return false;
        }
    }
    true
}
