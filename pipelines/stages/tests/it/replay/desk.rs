//! A log with raw records that carry their score, and chains that cut classes from it by the rules they are given.

mod chain;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use telesift_ports::{
    RecordLog, Replays, SmartModuleChain, catalog,
    memory::{ManualClock, MemoryCatalog, MemoryLog},
    record_log::{NewRecord, ReadLimits, Retention, StoredRecord, TopicConfig, Transaction},
    replays::{
        BaseRules, Bound, KeptSet, Label, LabelSource, NoLabels, ReplayCatalog, ReplayError,
        ReplayRange, ReplayRequest, ReplayStage, ReplayStatus, ResolvedRules, RuleFault, RuleText,
        RulesChoice, RulesSource,
    },
};
use telesift_schemas::{Class, MessageKey, PartitionId, Timestamp, Topic, TopicPartition};
use telesift_stages::{
    StageError,
    replay::{ReplayConfig, ReplayParts, ReplayRunner, RuleChains},
    workers::Held,
};
use tokio::{sync::Notify, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{flow::until, works};
use chain::{Cutter, OnBatch};

pub(crate) const N_PARTITIONS: u32 = 4;

pub(crate) struct Desk {
    pub(crate) log: Arc<MemoryLog>,
    pub(crate) clock: Arc<ManualClock>,
    catalog: Arc<MemoryCatalog>,
    labels: Arc<dyn LabelSource>,
    revision: u32,
}

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_767_600_000 + second).unwrap()
}

/// Seven records at once, every batch stored, no rest.
pub(crate) fn quick() -> ReplayConfig {
    ReplayConfig {
        batch_records: 7,
        checkpoint_every: Duration::ZERO,
        cpu_share: 1.0,
        ..ReplayConfig::default()
    }
}

/// A raw record of message `id` that says which score it wants.
pub(crate) fn record(id: i64, score: f64) -> String {
    json!({"id": format!("7:{id}"), "edit": 0, "text": "сервер впав.", "wants": score}).to_string()
}

/// Rules with these thresholds.
pub(crate) fn inline(weak: f64, signal: f64) -> RulesChoice {
    RulesChoice::Inline(RuleText::Json(thresholds(weak, signal)))
}

fn thresholds(weak: f64, signal: f64) -> String {
    json!({"weak": weak, "signal": signal}).to_string()
}

/// Labels of the messages 0 to `n`, by their score in hundredths.
pub(crate) fn labels(n: i64, class: impl Fn(f64) -> Class) -> impl LabelSource {
    let label = |id: i64| {
        let label = Label {
            class: Some(class(id as f64 / 100.0)),
            spam: None,
        };
        (format!("7:{id}").parse().unwrap(), label)
    };
    FixedLabels((0..n).map(label).collect())
}

struct FixedLabels(HashMap<MessageKey, Label>);

#[async_trait]
impl LabelSource for FixedLabels {
    async fn labels(&self, of: &[(MessageKey, i64)]) -> catalog::Result<Vec<Option<Label>>> {
        Ok(of.iter().map(|(key, _)| self.0.get(key).copied()).collect())
    }
}

/// Knows thresholds; the base is 0.35 and 0.65.
struct Thresholds {
    revision: u32,
}

#[async_trait]
impl RulesSource for Thresholds {
    async fn resolve(&self, name: &str) -> catalog::Result<Option<ResolvedRules>> {
        let base = RuleText::Json(thresholds(0.35, 0.65));
        Ok((name == "default").then(|| self.read(&base).unwrap()))
    }

    async fn active(&self, _: &[ReplayRange]) -> catalog::Result<BaseRules> {
        Ok(BaseRules::one(self.resolve("default").await?.unwrap()))
    }

    /// Dry runs keep nothing.
    async fn keep(&self, _: &RulesChoice, _: &str) -> Result<KeptSet, ReplayError> {
        panic!("a dry run keeps no rules");
    }

    fn read(&self, text: &RuleText) -> Result<ResolvedRules, RuleFault> {
        let (RuleText::Json(json) | RuleText::Toml(json)) = text;
        let set: Value = serde_json::from_str(json).unwrap();
        if set["weak"].as_f64() > set["signal"].as_f64() {
            return Err(RuleFault {
                line: Some(1),
                reason: "weak is above signal".to_owned(),
            });
        }
        Ok(ResolvedRules {
            version: format!("{}-{}@{}", set["weak"], set["signal"], self.revision),
            json: json.clone(),
        })
    }
}

impl Desk {
    pub(crate) async fn new() -> Self {
        let clock = Arc::new(ManualClock::new(at(0)));
        let log = Arc::new(MemoryLog::with_clock(clock.clone()));
        let desk = Desk {
            log,
            clock,
            catalog: Arc::new(MemoryCatalog::new()),
            labels: Arc::new(NoLabels),
            revision: 1,
        };
        desk.retain(Retention::default()).await;
        desk
    }

    pub(crate) async fn retain(&self, retention: Retention) {
        for (topic, _) in Topic::ALL {
            let config = TopicConfig {
                partitions: N_PARTITIONS,
                retention: retention.clone(),
            };
            self.log.create_topic(&topic, config).await.unwrap();
        }
    }

    pub(crate) async fn append(&self, partition: u32, values: &[String]) {
        let at = TopicPartition::new(Topic::TELEGRAM_RAW, PartitionId(partition));
        let record = |value: &String| NewRecord {
            key: "7".into(),
            value: Bytes::from(value.clone()),
            unique: Vec::new(),
        };
        let appends = values.iter().map(|v| (at.clone(), record(v))).collect();
        self.log
            .commit(Transaction::appends(appends))
            .await
            .unwrap();
    }

    pub(crate) fn labels(&mut self, labels: impl LabelSource) {
        self.labels = Arc::new(labels);
    }

    /// From now on the same rules have another version, as after an update of the program.
    pub(crate) fn revise_rules(&mut self) {
        self.revision += 1;
    }

    /// A dry run over everything, against the base.
    pub(crate) fn request(&self, rules: RulesChoice) -> ReplayRequest {
        ReplayRequest {
            stage: ReplayStage::Screen,
            dry_run: true,
            from: Bound::Earliest,
            to: Bound::Latest,
            rules: Some(rules),
            base: None,
            reassign: false,
            by: "k".to_owned(),
        }
    }

    pub(crate) async fn runner(&self, config: ReplayConfig) -> ReplayRunner {
        self.runner_with(config, |_| {}).await
    }

    /// A runner that calls `on_batch` in the chain's thread before each batch, with the number of batches before it.
    async fn runner_with(
        &self,
        config: ReplayConfig,
        on_batch: impl Fn(usize) + Send + Sync + 'static,
    ) -> ReplayRunner {
        let n_built = AtomicUsize::new(0);
        let on_batch: OnBatch = Arc::new(on_batch);
        let chains: RuleChains = Arc::new(move |rules| {
            // The base is built first, and runs first.
            let is_base = n_built.fetch_add(1, Ordering::SeqCst).is_multiple_of(2);
            Ok(Box::new(Cutter {
                rules: serde_json::from_str(rules).unwrap(),
                on_batch: is_base.then(|| on_batch.clone()),
                n_batches: 0,
            }) as Box<dyn SmartModuleChain>)
        });
        let line = works::line(&self.log, &self.catalog, &self.clock).await;
        let parts = ReplayParts {
            log: self.log.clone(),
            catalog: self.catalog.clone(),
            rules: Arc::new(Thresholds {
                revision: self.revision,
            }),
            labels: self.labels.clone(),
            chains,
            clock: self.clock.clone(),
            units: works::planner(&line, &self.catalog, Arc::default()),
            line,
        };
        ReplayRunner::new(parts, config)
    }

    pub(crate) async fn status(&self, id: &str) -> ReplayStatus {
        self.catalog.replay(id).await.unwrap().unwrap()
    }

    pub(crate) async fn run_through(&self, request: &ReplayRequest) -> ReplayStatus {
        let runner = self.runner(quick()).await;
        let queued = runner.start(request.clone()).await.unwrap();
        self.run_until_over(runner, &queued.id).await
    }

    pub(crate) async fn run_until_over(&self, runner: ReplayRunner, id: &str) -> ReplayStatus {
        let stop = CancellationToken::new();
        let until = async {
            let over = until(async || {
                let replay = self.status(id).await;
                replay.state.is_over().then_some(replay)
            })
            .await;
            stop.cancel();
            over
        };
        let (ran, over) = tokio::join!(runner.run(Held::alone(stop.clone())), until);
        ran.unwrap();
        over
    }

    /// Runs a process that is asked to stop while it judges the batch after `n` batches, or that dies there.
    pub(crate) async fn run_batches(&self, n: usize, is_crash: bool) {
        let stop = CancellationToken::new();
        let crash = Arc::new(Notify::new());
        let (stopped, crashed) = (stop.clone(), crash.clone());
        let (death, dead) = mpsc::channel::<()>();
        let dead = Mutex::new(dead);
        let runner = self
            .runner_with(quick(), move |n_before| match is_crash {
                true if n_before == n => {
                    crashed.notify_one();
                    // This batch never comes to an end within its process: an error says that the process is gone.
                    assert!(dead.lock().unwrap().recv().is_err());
                }
                false if n_before == n => stopped.cancel(),
                _ => {}
            })
            .await;
        tokio::select! {
            () = crash.notified() => {}
            ran = runner.run(Held::alone(stop)) => ran.unwrap(),
        }
        drop(death);
    }

    /// A runner whose batches wait to be let through; the first `n` are.
    pub(crate) async fn gated(&self, n: usize) -> Gated {
        let (sender, receiver) = mpsc::channel();
        let (receiver, waiting) = (Mutex::new(receiver), Arc::new(Notify::new()));
        let told = waiting.clone();
        let runner = self
            .runner_with(quick(), move |n_before| {
                if n_before == n {
                    told.notify_one();
                }
                let receiver = receiver.lock().unwrap();
                let () = receiver.recv().unwrap();
            })
            .await;
        let gated = Gated {
            runner: Arc::new(runner),
            catalog: self.catalog.clone(),
            sender,
            waiting,
            stop: CancellationToken::new(),
        };
        gated.let_through(n);
        gated
    }

    /// All there is in the log: records by topic and partition, and the state kept with it.
    pub(crate) async fn log_contents(
        &self,
    ) -> (Vec<(String, Vec<StoredRecord>)>, Vec<(String, Bytes)>) {
        let mut records = Vec::new();
        for topic in self.log.topics().await.unwrap() {
            for p in topic.partitions {
                let at = TopicPartition::new(topic.topic.clone(), p.partition);
                let batch = self.log.read(&at, p.bounds.start, ReadLimits::default());
                records.push((at.to_string(), batch.await.unwrap().records));
            }
        }
        (records, self.log.state_with_prefix("").await.unwrap())
    }
}

/// A runner whose batches wait.
pub(crate) struct Gated {
    pub(crate) runner: Arc<ReplayRunner>,
    catalog: Arc<MemoryCatalog>,
    sender: mpsc::Sender<()>,
    waiting: Arc<Notify>,
    stop: CancellationToken,
}

impl Gated {
    pub(crate) fn run(&self) -> JoinHandle<Result<(), StageError>> {
        let (runner, stop) = (self.runner.clone(), self.stop.clone());
        tokio::spawn(async move { runner.run(Held::alone(stop)).await })
    }

    pub(crate) fn let_through(&self, n: usize) {
        for _ in 0..n {
            self.sender.send(()).unwrap();
        }
    }

    /// Until the first batch that is not let through waits.
    pub(crate) async fn until_waiting(&self) {
        self.waiting.notified().await;
    }

    pub(crate) async fn until_processed(&self, id: &str, n: u64) {
        until(async || {
            let replay = self.catalog.replay(id).await.unwrap().unwrap();
            (replay.progress.processed() == n).then_some(())
        })
        .await;
    }

    pub(crate) async fn until_over(&self, id: &str) -> ReplayStatus {
        until(async || {
            let replay = self.catalog.replay(id).await.unwrap().unwrap();
            replay.state.is_over().then_some(replay)
        })
        .await
    }

    pub(crate) async fn end(&self, run: JoinHandle<Result<(), StageError>>) {
        self.stop.cancel();
        run.await.unwrap().unwrap();
    }
}
