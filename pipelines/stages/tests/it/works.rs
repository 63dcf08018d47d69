//! A whole deployment on in-memory ports, with processes that come and go: screen, index, stories, generations, replays.

mod dying_log;
mod slow;

use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use telesift_ports::{
    Embedder, Generations, MessageStore, RecordLog, Replays, RuleReader, RuleSets,
    SmartModuleChain,
    chain::{ChainError, ChainInput, ChainOutcome},
    embedder::{EmbedError, EmbeddingCost, EmbeddingModel, Purpose},
    generations::{Entry, GenerationState, Part},
    ledger::{StageKey, StageState},
    memory::{ManualClock, MemoryCatalog, MemoryLog, MemoryRules, MemoryStores, ScriptedExtractor},
    message_store::{ListPosition, MessageFilter},
    record_log::{NewRecord, ReadLimits, Retention, StoredRecord, TopicConfig, Transaction},
    replays::{
        Bound, NoLabels, ReplayCatalog, ReplayRequest, ReplayStage, ReplayState, ReplayStatus,
        RuleText, RulesChoice,
    },
    rules::{ActivateRules, StartFrom},
};
use telesift_schemas::{
    ChatId, Generation, Message, MessageKind, PartitionId, Topic, TopicPartition,
    partition_for_chat,
};
use telesift_stages::{
    decisions::rules::{RulesBook, RulesKeeper},
    embed::EmbedConfig,
    extract::{ExtractConfig, ExtractParts, UnitPlanner},
    generations::{
        Line, LineConfig, LineParts, LiveEmbedder, LiveStore, Models, OpenStores, Upkeep,
        UpkeepConfig,
    },
    origins::OriginLog,
    replay::{KeptRules, ReplayConfig, ReplayParts, ReplayRunner},
    screen::ChainFactory,
    workers::Held,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(crate) use dying_log::DyingLog;
pub(crate) use slow::Slow;

use crate::flow::model;

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

/// A running process.
pub(crate) struct Process {
    pub(crate) runner: Arc<ReplayRunner>,
    pub(crate) generations: Arc<Generations>,
    pub(crate) store: LiveStore,
    pub(crate) embedder: LiveEmbedder,
    pub(crate) rules: RulesKeeper,
    stop: CancellationToken,
    tasks: JoinSet<()>,
    /// The catalog, and by how many it was held before this process began.
    catalog: (Weak<MemoryCatalog>, usize),
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

/// What replays of this line stand on, and the keeper of its rules.
pub(crate) fn replay_parts(
    line: &Arc<Line>,
    catalog: &Arc<MemoryCatalog>,
    units: Arc<UnitPlanner>,
) -> (ReplayParts, RulesKeeper) {
    let on = line.parts();
    let reader: Arc<dyn RuleReader> = Arc::new(MemoryRules::default());
    let rules = RulesKeeper::new(
        on.book.clone(),
        on.log.clone(),
        catalog.clone(),
        reader.clone(),
        on.chains.clone(),
        on.clock.clone(),
    );
    let kept = KeptRules::new(
        Arc::new(rules.clone()),
        on.book.clone(),
        reader,
        on.generations.clone(),
    );
    let chains = on.chains.clone();
    let parts = ReplayParts {
        log: on.log.clone(),
        catalog: catalog.clone(),
        rules: Arc::new(kept),
        labels: Arc::new(NoLabels),
        chains: Arc::new(move |json| {
            let read = MemoryRules::default().read(telesift_ports::rules::RuleSource::Json(json));
            chains(&read.unwrap())
        }),
        clock: on.clock.clone(),
        units,
        line: line.clone(),
    };
    (parts, rules)
}

/// Looks at units of these parts for an extractor that claims what it is told to.
pub(crate) fn planner(
    line: &Line,
    catalog: &Arc<MemoryCatalog>,
    extractor: Arc<ScriptedExtractor>,
) -> Arc<UnitPlanner> {
    let on = line.parts();
    let parts = ExtractParts {
        log: on.log.clone(),
        store: Arc::new(LiveStore::new(on.stores.clone())),
        catalog: catalog.clone(),
        extractor,
        embedder: Arc::new(Slow::new()),
        clock: on.clock.clone(),
    };
    Arc::new(UnitPlanner::new(
        parts,
        Arc::default(),
        ExtractConfig::default(),
    ))
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
        for (topic, partitions) in Topic::ALL {
            let config = TopicConfig {
                partitions: partitions.unwrap_or(N_PARTITIONS),
                retention: Retention::default(),
            };
            log.create_topic(&topic, config).await.unwrap();
        }
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
        let parts = LineParts {
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

    /// A process that starts now.
    pub(crate) async fn process(&self) -> Process {
        self.process_on(self.log.clone()).await
    }

    /// The same on another view of the log.
    pub(crate) async fn process_on(&self, log: Arc<dyn RecordLog>) -> Process {
        let catalog = (
            Arc::downgrade(&self.catalog),
            Arc::strong_count(&self.catalog),
        );
        let line = self.line(log).await;
        let parts = line.parts().clone();
        let units = planner(&line, &self.catalog, Arc::default());
        let (replays, rules) = replay_parts(&line, &self.catalog, units);
        let config = ReplayConfig {
            batch_records: 4,
            checkpoint_every: Duration::ZERO,
            cpu_share: 1.0,
            ..ReplayConfig::default()
        };
        let runner = Arc::new(ReplayRunner::new(replays, config));
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        // As the binary does it: the stages of the first generation stand in the flow itself.
        for part in Part::ALL {
            let (line, held) = (line.clone(), Held::alone(stop.clone()));
            tasks.spawn(async move {
                let first = Entry::first();
                let run = |held| line.run(&first, std::slice::from_ref(&part), None, held);
                let made = (part, Generation::FIRST);
                line.while_used(made, held, run).await.unwrap();
            });
        }
        let upkeep = Upkeep::new(line, self.config);
        let token = stop.clone();
        tasks.spawn(async move {
            upkeep.run(Held::alone(token)).await.unwrap();
        });
        let (running, token) = (runner.clone(), stop.clone());
        tasks.spawn(async move {
            running.run(Held::alone(token)).await.unwrap();
        });
        Process {
            runner,
            generations: parts.generations,
            store: LiveStore::new(parts.stores.clone()),
            embedder: LiveEmbedder::new(parts.stores),
            rules,
            stop,
            tasks,
            catalog,
        }
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

impl Process {
    /// Ends in order.
    pub(crate) async fn end(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }

    /// Dies where it stands; nothing of it is left when this returns: a task of a task may still be writing when its owner
    /// is gone, as no dead process is.
    pub(crate) async fn kill(mut self) {
        self.tasks.shutdown().await;
        let (catalog, n_before) = self.catalog.clone();
        drop(self);
        until(async || (catalog.strong_count() <= n_before).then_some(())).await;
    }

    /// A replay of everything that fills a generation, by `rules` if given.
    pub(crate) fn request(rules: Option<&str>) -> ReplayRequest {
        ReplayRequest {
            stage: ReplayStage::Screen,
            dry_run: false,
            from: Bound::Earliest,
            to: Bound::Latest,
            rules: rules.map(|toml| RulesChoice::Inline(RuleText::Toml(toml.to_owned()))),
            base: None,
            reassign: false,
            by: "k".to_owned(),
        }
    }

    /// Starts a replay and follows it to its end.
    pub(crate) async fn replay(&self, works: &Works, request: ReplayRequest) -> ReplayStatus {
        let id = self.runner.start(request).await.unwrap().id;
        self.until_over(works, &id).await
    }

    pub(crate) async fn until_over(&self, works: &Works, id: &str) -> ReplayStatus {
        until(async || {
            let replay = works.catalog.replay(id).await.unwrap().unwrap();
            replay.state.is_over().then_some(replay)
        })
        .await
    }

    /// Adds and activates rules from the first record that nothing has screened.
    pub(crate) async fn activate(&self, toml: &str) {
        let new = telesift_ports::rules::NewRules {
            text: toml.to_owned(),
            is_json: false,
            by: "k".to_owned(),
            note: None,
        };
        let added = self.rules.add(new).await.unwrap();
        let asked = ActivateRules {
            asked: added.rules.version,
            from: StartFrom::Unscreened,
            by: "k".to_owned(),
            note: None,
        };
        self.rules.activate(asked).await.unwrap();
    }

    /// Until every stage of every kept generation has taken everything.
    pub(crate) async fn until_idle(&self) {
        until(async || {
            let all = self.runner.generations().await.unwrap();
            let is_idle = all.iter().all(|g| g.stages.iter().all(|s| s.lag() == 0));
            is_idle.then_some(())
        })
        .await;
    }

    /// The current versions that readers see, noise too.
    pub(crate) async fn shown(&self) -> Vec<Message> {
        let filter = MessageFilter {
            include_noise: true,
            ..MessageFilter::default()
        };
        let none: Option<&ListPosition> = None;
        self.store.list(&filter, none, 10_000).await.unwrap()
    }
}

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

/// Whether a replay is done and its generation complete.
pub(crate) fn is_ready(process: &Process, replay: &ReplayStatus) -> bool {
    let register = process.generations.now();
    replay.state == ReplayState::Done
        && register.made_by(&replay.id).map(|e| e.state) == Some(GenerationState::Ready)
}

/// A raw record that is the message it shall become, but for what screening says. Every third text is told by others too.
fn raw(chat: i64, id: i64, score: f64) -> String {
    match id % 11 {
        5 => r#"{"skip":"no_message"}"#.to_owned(),
        10 => "fail".to_owned(),
        _ => message(chat, id, score).to_string(),
    }
}

fn message(chat: i64, id: i64, score: f64) -> Value {
    let text = match id % 3 {
        0 => format!(
            "the bridge over the river was closed at dawn, witnesses number {} say",
            id % 5
        ),
        _ => format!("message number {id} about nothing in particular and nobody at all"),
    };
    let signature = telesift_text::signature::signature(&text).map(|s| s.to_string());
    json!({
        "v": 1, "id": format!("{chat}:{id}"), "chat": {"id": chat.to_string(), "title": "Ops", "kind": "private"},
        "message_id": id, "edit": 0, "event_time": "2026-01-05T10:00:00Z", "author": null, "kind": MessageKind::Text,
        "text": text, "lang": "en", "reply_to": null, "thread": null, "forward": null, "links": [], "media": null,
        "reactions": {}, "signature": signature, "deleted_at": null, "wants": score,
    })
}

/// A chain that cuts classes from the score a record wants: a signal from `signal` on, else noise.
fn cutting() -> ChainFactory {
    Arc::new(|set| {
        let data: Value = serde_json::from_str(&set.data).unwrap();
        Ok(Box::new(Cutting {
            signal: data["signal"].as_f64().unwrap_or(0.5),
            version: set.version.clone(),
        }) as Box<dyn SmartModuleChain>)
    })
}

struct Cutting {
    signal: f64,
    version: String,
}

impl SmartModuleChain for Cutting {
    fn process(&mut self, inputs: &[ChainInput]) -> Result<Vec<ChainOutcome>, ChainError> {
        Ok(inputs.iter().map(|i| self.outcome(&i.value)).collect())
    }
}

impl Cutting {
    fn outcome(&self, value: &Bytes) -> ChainOutcome {
        let Ok(mut message) = serde_json::from_slice::<Value>(value) else {
            return ChainOutcome::Failed {
                module: "cutting".into(),
                code: telesift_schemas::DeadLetterCode::GuestError,
                message: "as told".into(),
            };
        };
        if let Some(score) = message["wants"].as_f64() {
            let class = if score >= self.signal {
                "signal"
            } else {
                "noise"
            };
            message["screen"] = json!({
                "class": class, "score": score, "factors": {"cut": self.signal}, "flags": [], "rules": self.version,
            });
        }
        ChainOutcome::Value(message.to_string().into())
    }
}

/// A vector of ones for every text.
struct Ones(EmbeddingModel);

#[async_trait]
impl Embedder for Ones {
    fn model(&self) -> &EmbeddingModel {
        &self.0
    }

    fn cost(&self) -> EmbeddingCost {
        EmbeddingCost::Negligible
    }

    async fn embed(&self, texts: &[&str], _: Purpose) -> Result<Vec<Vec<f32>>, EmbedError> {
        Ok(vec![vec![1.0; self.0.dimensions]; texts.len()])
    }
}

/// The partition of a chat.
pub(crate) fn partition_of(chat: i64) -> PartitionId {
    partition_for_chat(ChatId(chat), N_PARTITIONS)
}
