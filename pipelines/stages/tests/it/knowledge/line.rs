//! From messages to atoms on in-memory parts: what is said, run until something is so, and what is known then.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use serde_json::json;
use telesift_ports::{
    Embedder, Extractor, Generations, KnowledgeCatalog, MessageStore, RecordLog, UnitCatalog,
    embedder::{EmbedError, EmbeddingCost, EmbeddingModel, Purpose},
    extractor::{ExtractError, Extracted, Plan, Unit},
    knowledge::{AtomFilter, StoredAtom, UnitCounts},
    memory::{MemoryCatalog, ScriptedExtractor},
    message_store::IndexedMessage,
    record_log::{NewRecord, ReadLimits, Transaction},
};
use telesift_schemas::{
    Atom, AtomStatus, ChatId, Class, Decision, DecisionKind, Extraction, Message, MessageKey, Topic,
};
use telesift_stages::{
    Consumer, StageError,
    after_index::{IndexLag, IndexLagConfig},
    chat_settings::{self, ChatProjection},
    extract::{Extract, ExtractConfig, ExtractParts},
    knowledge::{self, Knowledge},
    labelled_units::{self, LabelledUnits},
    switched_units::SwitchedUnits,
    unit_catalog::{self, UnitProjection},
    units::{self, Units, UnitsConfig},
};
use tokio::{
    sync::{Notify, Semaphore, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::flow::{Flow, at};

/// Vectors of letters: texts of the same letters have cosine 1.
struct Letters(EmbeddingModel);

#[async_trait]
impl Embedder for Letters {
    fn model(&self) -> &EmbeddingModel {
        &self.0
    }

    fn cost(&self) -> EmbeddingCost {
        EmbeddingCost::Negligible
    }

    async fn embed(&self, texts: &[&str], _: Purpose) -> Result<Vec<Vec<f32>>, EmbedError> {
        let vector = |text: &&str| {
            let mut vector = vec![0.0; 64];
            for c in text.chars().filter(|c| c.is_alphanumeric()) {
                vector[(u32::from(c.to_ascii_lowercase()) % 64) as usize] += 1.0;
            }
            vector
        };
        Ok(texts.iter().map(vector).collect())
    }
}

/// The chat whose units wait for somebody who takes his time.
pub(super) const SLOW: i64 = 9;

/// The scripted extractor, behind a gate for [`SLOW`].
struct Gated {
    inner: Arc<ScriptedExtractor>,
    gate: Arc<Semaphore>,
}

#[async_trait]
impl Extractor for Gated {
    async fn extract(&self, unit: &Unit) -> Result<Extracted, ExtractError> {
        if unit.chat.id.0 == SLOW {
            let answer = self.inner.extract(unit).await;
            self.gate.acquire().await.unwrap().forget();
            return answer;
        }
        self.inner.extract(unit).await
    }

    async fn plan(&self, unit: &Unit) -> Result<Plan, ExtractError> {
        self.inner.plan(unit).await
    }

    async fn waits_for(&self, chat: ChatId) -> Result<Option<String>, ExtractError> {
        Ok((chat.0 == SLOW).then(|| "slow".to_owned()))
    }
}

pub(super) struct Line {
    pub(super) flow: Flow,
    pub(super) extractor: Arc<ScriptedExtractor>,
    /// That of the live generation.
    pub(super) store: Mutex<Arc<dyn MessageStore>>,
    /// One permit for each answer of the slow one.
    pub(super) gate: Arc<Semaphore>,
    /// The longest pause of who asks.
    pub(super) max_pause: Duration,
    next_offset: std::sync::atomic::AtomicU64,
}

impl Line {
    pub(super) async fn new() -> Self {
        Self::on(Flow::new().await)
    }

    /// The same on a log that has no transactions.
    pub(super) async fn without_transactions() -> Self {
        Self::on(Flow::without_transactions().await)
    }

    fn on(flow: Flow) -> Self {
        Line {
            store: Mutex::new(flow.store.clone()),
            flow,
            extractor: Arc::default(),
            gate: Arc::new(Semaphore::new(0)),
            max_pause: Duration::from_millis(5),
            next_offset: std::sync::atomic::AtomicU64::new(0),
        }
    }

    pub(super) fn store(&self) -> Arc<dyn MessageStore> {
        self.store.lock().unwrap().clone()
    }

    /// Which generations there are, as of now.
    pub(super) async fn generations(&self) -> Arc<Generations> {
        let loaded = Generations::load(self.flow.log.clone()).await;
        Arc::new(loaded.unwrap())
    }

    /// A catalog without anything in it takes the place of the one there was.
    pub(super) fn drop_catalog(&mut self) {
        self.flow.catalog = Arc::new(MemoryCatalog::new());
    }

    pub(super) async fn say(&self, id: i64, text: &str) {
        self.version(7, "group", id, 0, text).await;
    }

    /// Something the screen finds nothing in.
    pub(super) async fn mumble(&self, id: i64, text: &str) {
        let mut message = self.message(7, "group", id, 0, text);
        message["screen"]["class"] = "noise".into();
        self.bring(message).await;
    }

    /// What an analyst says of a message; without a class: nothing any more.
    pub(super) async fn label(&self, id: i64, class: Option<Class>) {
        self.decide(DecisionKind::Labelled {
            message: key(7, id),
            edit: 0,
            class,
            spam: None,
            owner: Some("analyst".to_owned()),
        })
        .await;
    }

    pub(super) async fn edit(&self, id: i64, edit: i64, text: &str) {
        self.version(7, "group", id, edit, text).await;
    }

    pub(super) async fn post(&self, chat: i64, id: i64, text: &str) {
        self.version(chat, "channel", id, 0, text).await;
    }

    pub(super) async fn delete(&self, id: i64) {
        let mut message = self.message(7, "group", id, 0, "");
        message["kind"] = "deleted".into();
        message["edit"] = 1_767_700_000_i64.into();
        self.bring(message).await;
    }

    async fn version(&self, chat: i64, kind: &str, id: i64, edit: i64, text: &str) {
        let mut message = self.message(chat, kind, id, 0, text);
        message["edit"] = edit.into();
        self.bring(message).await;
    }

    fn message(&self, chat: i64, kind: &str, id: i64, edit: i64, text: &str) -> serde_json::Value {
        let offset = self
            .next_offset
            .fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let event_time = telesift_schemas::Timestamp::from_second(1_767_500_000 + id * 60).unwrap();
        json!({
            "v": 1, "id": format!("{chat}:{id}"), "chat": {"id": chat.to_string(), "title": "Ops", "kind": kind},
            "message_id": id, "edit": edit, "event_time": event_time.to_string(), "author": null, "kind": "text",
            "text": text, "lang": "en", "reply_to": null, "thread": null, "forward": null, "links": [], "media": null,
            "reactions": {}, "deleted_at": null,
            "screen": {"class": "signal", "score": 0.9, "factors": {}, "flags": [], "rules": "test@1+0"},
            "origin": {"topic": "telegram-raw", "partition": 0, "offset": offset},
        })
    }

    /// Into the store and onto `messages`.
    async fn bring(&self, message: serde_json::Value) {
        self.flow.clock.advance(Duration::from_secs(1));
        let text = message.to_string();
        let message: Message = serde_json::from_str(&text).unwrap();
        let indexed = IndexedMessage {
            message,
            vector: None,
        };
        self.flow.store.apply(vec![indexed]).await.unwrap();
        self.flow.append(Topic::MESSAGES, &[text]).await;
    }

    pub(super) async fn decide(&self, decision: DecisionKind) {
        self.flow.clock.advance(Duration::from_secs(1));
        let decision = Decision {
            v: Decision::VERSION,
            at: "2026-01-05T11:00:00Z".parse().unwrap(),
            by: "k".to_owned(),
            decision,
        };
        let record = NewRecord {
            key: "7".into(),
            value: serde_json::to_vec(&decision).unwrap().into(),
            unique: Vec::new(),
        };
        let append = (at(Topic::DECISIONS), record);
        let transaction = Transaction::appends(vec![append]);
        self.flow.log.commit(transaction).await.unwrap();
    }

    /// Runs all stages, as a process that starts now, until `is_done`.
    pub(super) async fn run(&self, is_done: impl AsyncFn() -> bool) {
        let stop = CancellationToken::new();
        let mut tasks: JoinSet<Result<(), StageError>> = JoinSet::new();
        let (log, catalog, clock) = (
            self.flow.log.clone(),
            self.flow.catalog.clone(),
            self.flow.clock.clone(),
        );
        let consumer = |stage, inputs: Vec<_>| Consumer {
            log: self.flow.log.clone(),
            stage,
            inputs,
            limits: ReadLimits::default(),
            min_interval: Duration::ZERO,
        };
        let config = UnitsConfig {
            settle_ms: 0,
            ..UnitsConfig::default()
        };
        let messages = at(Topic::MESSAGES);
        let grouping = Units::new(log.clone(), clock.clone(), messages.clone(), config);
        tasks.spawn(consumer(units::STAGE, vec![messages.clone()]).run(grouping, stop.clone()));
        let news = Arc::new(Notify::new());
        let waiting = UnitProjection::new(
            log.clone(),
            catalog.clone(),
            clock.clone(),
            vec![at(Topic::UNITS)],
            news.clone(),
        );
        tasks.spawn(
            consumer(unit_catalog::STAGE, vec![at(Topic::UNITS)]).run(waiting, stop.clone()),
        );
        let decisions = at(Topic::DECISIONS);
        let settings = ChatProjection::new(
            log.clone(),
            catalog.clone(),
            catalog.clone(),
            clock.clone(),
            decisions.clone(),
        );
        tasks.spawn(
            consumer(chat_settings::STAGE, vec![decisions.clone()]).run(settings, stop.clone()),
        );
        let labelled = LabelledUnits::new(
            log.clone(),
            catalog.clone(),
            self.store(),
            clock.clone(),
            decisions.clone(),
        );
        tasks.spawn(consumer(labelled_units::STAGE, vec![decisions]).run(labelled, stop.clone()));
        let (tell, applied) = watch::channel(telesift_schemas::Offset::ZERO);
        let generations = self.generations().await;
        let (kept_up, ending) = (generations.clone(), stop.clone());
        tasks.spawn(async move {
            while !ending.is_cancelled() {
                kept_up.refresh().await?;
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            Ok(())
        });
        let known = Knowledge::new(log.clone(), catalog.clone(), clock.clone(), tell)
            .following(generations.clone());
        let switched = SwitchedUnits::new(
            log.clone(),
            catalog.clone(),
            self.store(),
            clock.clone(),
            generations.clone(),
        );
        tasks.spawn(switched.run(stop.clone()));
        tasks.spawn(
            consumer(knowledge::STAGE, Knowledge::inputs().to_vec()).run(known, stop.clone()),
        );
        let config = ExtractConfig {
            patience: Duration::ZERO,
            max_pause: self.max_pause,
            same_atom: 0.99,
            same_subject: 0.95,
            ..ExtractConfig::default()
        };
        let lag = IndexLag::new(
            log.clone(),
            catalog.clone(),
            vec![messages.clone()],
            IndexLagConfig::default(),
        );
        let parts = ExtractParts {
            index_lag: Arc::new(lag),
            log,
            store: self.store(),
            catalog,
            generations,
            extractor: Arc::new(Gated {
                inner: self.extractor.clone(),
                gate: self.gate.clone(),
            }),
            embedder: Arc::new(Letters(crate::flow::model())),
            clock,
        };
        let extract = Extract::new(parts, vec![messages], news, applied, config);
        tasks.spawn(extract.run(stop.clone()));
        let wait = async {
            while !is_done().await {
                if let Some(ended) = tasks.try_join_next() {
                    panic!("a stage ended: {ended:?}");
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), wait)
            .await
            .expect("it gets through");
        stop.cancel();
        while let Some(ended) = tasks.join_next().await {
            ended.unwrap().unwrap();
        }
    }

    /// Runs until everything that was said and decided is worked through.
    pub(super) async fn settle(&self) {
        self.run(async || self.is_settled().await).await;
    }

    pub(super) async fn is_settled(&self) -> bool {
        let log = &self.flow.log;
        let end = async |topic: Topic| log.bounds(&at(topic)).await.unwrap().end;
        let states = self.flow.catalog.stage_states_map().await;
        let stood = |stage: &str, topic: &Topic| {
            let key = (stage.to_owned(), topic.as_str().to_owned());
            states.get(&key).copied().unwrap_or_default()
        };
        let key = telesift_ports::ledger::StageKey {
            stage: units::STAGE.to_owned(),
            input: at(Topic::MESSAGES),
        };
        let of_labels = telesift_ports::ledger::StageKey {
            stage: labelled_units::STAGE.to_owned(),
            input: at(Topic::DECISIONS),
        };
        let read = log.state(&key.state_key()).await.unwrap();
        let labels = log.state(&of_labels.state_key()).await.unwrap();
        let [read, labels] = [read, labels].map(|bytes| {
            let state = bytes.map(|bytes| {
                serde_json::from_slice::<telesift_ports::ledger::StageState>(&bytes).unwrap()
            });
            state.unwrap_or_default().next
        });
        let open = log.state_with_prefix("units/").await.unwrap();
        let has_open = open
            .iter()
            .any(|(_, value)| !String::from_utf8_lossy(value).contains(r#""open":[]"#));
        let register = self.generations().await.now();
        let live = register.live_parts();
        let in_force = self.flow.catalog.readings_in_force().await.unwrap();
        let log: &dyn RecordLog = &**log;
        read == end(Topic::MESSAGES).await
            && in_force == register.readings(live.knowledge)
            && SwitchedUnits::is_through(log, live.messages).await.unwrap()
            && labels == end(Topic::DECISIONS).await
            && stood(chat_settings::STAGE, &Topic::DECISIONS) == end(Topic::DECISIONS).await
            && !has_open
            && stood(unit_catalog::STAGE, &Topic::UNITS) == end(Topic::UNITS).await
            && stood(knowledge::STAGE, &Topic::EXTRACTIONS) == end(Topic::EXTRACTIONS).await
            && stood(knowledge::STAGE, &Topic::DECISIONS) == end(Topic::DECISIONS).await
            && self.units().await.due == 0
            && self.flow.catalog.outbox(1).await.unwrap().is_empty()
    }

    pub(super) async fn units(&self) -> UnitCounts {
        self.flow.catalog.unit_counts().await.unwrap()
    }

    /// Every atom there is, by id, merged ones too.
    pub(super) async fn everything(&self) -> Vec<StoredAtom> {
        let atoms = self.topic::<Atom>(Topic::ATOMS).await;
        let mut ids: Vec<String> = atoms.into_iter().map(|a| a.id).collect();
        ids.sort();
        ids.dedup();
        self.flow.catalog.stored_atoms(&ids).await.unwrap()
    }

    /// Titles and states, the latest first; rejected and retracted ones too.
    pub(super) async fn titles(&self) -> Vec<(String, AtomStatus)> {
        let filter = AtomFilter {
            statuses: AtomStatus::ALL.to_vec(),
            ..AtomFilter::default()
        };
        let found = self.flow.catalog.atoms(&filter, None, 1_000).await.unwrap();
        let titles = found.into_iter().map(|s| (s.atom.title, s.atom.status));
        titles.collect()
    }

    pub(super) async fn atom(&self, title: &str) -> StoredAtom {
        let found = self.everything().await;
        let found = found.into_iter().find(|s| s.atom.title == title);
        found.unwrap_or_else(|| panic!("no atom `{title}`"))
    }

    pub(super) async fn topic<T: serde::de::DeserializeOwned>(&self, topic: Topic) -> Vec<T> {
        let records = self.flow.records(topic).await;
        let read = records
            .iter()
            .map(|r| serde_json::from_slice(&r.value).unwrap());
        read.collect()
    }

    pub(super) async fn extractions(&self) -> Vec<Extraction> {
        self.topic(Topic::EXTRACTIONS).await
    }
}

/// Positions by stage and topic.
trait States {
    async fn stage_states_map(
        &self,
    ) -> std::collections::BTreeMap<(String, String), telesift_schemas::Offset>;
}

impl States for MemoryCatalog {
    async fn stage_states_map(
        &self,
    ) -> std::collections::BTreeMap<(String, String), telesift_schemas::Offset> {
        let states = telesift_ports::Catalog::stage_states(self).await.unwrap();
        let states = states.into_iter();
        states
            .map(|(key, state)| {
                let topic = key.input.topic.as_str().to_owned();
                ((key.stage, topic), state.next)
            })
            .collect()
    }
}

pub(super) fn key(chat: i64, message_id: i64) -> MessageKey {
    MessageKey {
        chat: telesift_schemas::ChatId(chat),
        message_id,
    }
}
