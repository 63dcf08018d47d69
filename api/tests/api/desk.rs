//! A whole API on in-memory ports, and short ways to put messages in and ask questions.

use std::sync::Arc;

use async_trait::async_trait;
use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderMap, Request, StatusCode, header},
    response::Response,
};
use serde_json::{Value, json};
use telesift_api::{AlwaysHealthy, ApiConfig, ApiState, KeyRequest, TailConfig, issue_key, router};
use telesift_ports::{
    AtomIndex, Catalog, Embedder, Explainer, Generations, MessageStore, RecordLog,
    catalog::Scope,
    embedder::{EmbedError, EmbeddingCost, EmbeddingModel, Purpose},
    explain::{Explanation, Factor, SpamExplanation},
    memory::{
        ManualClock, MemoryCatalog, MemoryLog, MemoryProviders, MemoryStore, ScriptedProvider,
    },
    message_store::IndexedMessage,
    record_log::{NewRecord, Outcome, Retention, TopicConfig, Transaction},
    rules::RuleSet,
};
use telesift_schemas::{
    ChatId, Generation, Message, Offset, Origin, PartitionId, Topic, TopicPartition,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

mod bots;
mod rules;

use crate::{fake_imports::FakeImports, fake_replays::FakeReplays};

pub(crate) const OPS: &str = "-1001234567890";
pub(crate) const NEWS: &str = "-1009876543210";

/// An API, what it stands on, and an admin key.
pub(crate) struct Desk {
    pub(crate) log: Arc<MemoryLog>,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) catalog: Arc<MemoryCatalog>,
    pub(crate) imports: Arc<FakeImports>,
    pub(crate) atoms: Arc<AtomIndex>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) config: ApiConfig,
    pub(crate) shutdown: CancellationToken,
    pub(crate) generations: Arc<Generations>,
    pub(crate) router: Router,
    pub(crate) admin: String,
}

/// An answer, read whole.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes)
            .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&self.bytes)))
    }

    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        assert!(
            self.status.is_success(),
            "{}: {}",
            self.status,
            String::from_utf8_lossy(&self.bytes)
        );
        self.json()
    }

    /// Asserts that it is a well-formed problem with this status and code.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, code: &str) -> Value {
        let problem = self.json();
        assert_eq!(self.status.as_u16(), status, "{problem}");
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status);
        assert_eq!(
            self.headers[header::CONTENT_TYPE],
            "application/problem+json"
        );
        for member in ["type", "title", "detail", "instance"] {
            assert!(problem[member].is_string(), "{member} of {problem}");
        }
        problem
    }
}

/// An index of atoms with nothing in it.
fn atom_index() -> Arc<AtomIndex> {
    let store = MemoryStore::new(Some(CountingEmbedder.model().clone()));
    Arc::new(AtomIndex::new(Arc::new(store), Arc::new(CountingEmbedder)))
}

impl Desk {
    pub(crate) async fn new() -> Desk {
        Desk::with(ApiConfig {
            tail: TailConfig {
                heartbeat_ms: 100,
                key_check_ms: 50,
                ..TailConfig::default()
            },
            ..ApiConfig::default()
        })
        .await
    }

    pub(crate) async fn with(config: ApiConfig) -> Desk {
        // No stage runs here that a label could wait for.
        let config = ApiConfig {
            label_wait_ms: 0,
            ..config
        };
        let clock = Arc::new(ManualClock::default());
        let log = Arc::new(MemoryLog::with_clock(clock.clone()));
        for (topic, partitions) in Topic::ALL {
            let config = TopicConfig {
                partitions: partitions.unwrap_or(2),
                retention: Retention::default(),
            };
            log.create_topic(&topic, config).await.unwrap();
        }
        Desk::on(config, clock, log).await
    }

    /// An API on a log of one's own.
    pub(crate) async fn on(
        config: ApiConfig,
        clock: Arc<ManualClock>,
        log: Arc<MemoryLog>,
    ) -> Desk {
        let catalog = Arc::new(MemoryCatalog::new());
        let store = Arc::new(MemoryStore::new(Some(CountingEmbedder.model().clone())));
        let imports = Arc::new(FakeImports::new());
        Desk::over(config, clock, log, catalog, store, imports).await
    }

    /// The same log, catalog and store under a new server.
    pub(crate) async fn restarted(self) -> Desk {
        self.shutdown.cancel();
        let (clock, log) = (self.clock.clone(), self.log.clone());
        let (catalog, store) = (self.catalog.clone(), self.store.clone());
        let config = self.config.clone();
        Desk::over(config, clock, log, catalog, store, self.imports.clone()).await
    }

    async fn over(
        config: ApiConfig,
        clock: Arc<ManualClock>,
        log: Arc<MemoryLog>,
        catalog: Arc<MemoryCatalog>,
        store: Arc<MemoryStore>,
        imports: Arc<FakeImports>,
    ) -> Desk {
        let shutdown = CancellationToken::new();
        let rules = rules::keeper(&log, &catalog, &clock).await;
        let atoms = atom_index();
        let generations = Arc::new(Generations::load(log.clone()).await.unwrap());
        let bots = Arc::new(bots::desk(&log, &catalog, &clock).await);
        let router = router(ApiState {
            log: log.clone(),
            store: store.clone(),
            catalog: catalog.clone(),
            imports: imports.clone(),
            bots,
            replays: Arc::new(FakeReplays::default()),
            atom_index: atoms.clone(),
            providers: Arc::new(MemoryProviders::with([near()])),
            generations: generations.clone(),
            embedder: Arc::new(CountingEmbedder),
            rules: Arc::new(rules),
            explainer: Arc::new(LengthExplainer),
            clock: clock.clone(),
            config: config.clone(),
            metrics: Arc::new(|| "up 1\n".to_owned()),
            health: Arc::new(AlwaysHealthy),
            shutdown: shutdown.clone(),
        });
        let mut desk = Desk {
            log,
            store,
            catalog,
            imports,
            atoms,
            clock,
            config,
            shutdown,
            generations,
            router,
            admin: String::new(),
        };
        desk.admin = desk.key(&[Scope::Admin], None).await;
        desk
    }

    /// A key of these scopes, limited to `chats` if given.
    pub(crate) async fn key(&self, scopes: &[Scope], chats: Option<&[&str]>) -> String {
        self.key_named("test", scopes, chats).await
    }

    pub(crate) async fn key_named(
        &self,
        name: &str,
        scopes: &[Scope],
        chats: Option<&[&str]>,
    ) -> String {
        let request = KeyRequest {
            name: name.into(),
            scopes: scopes.to_vec(),
            chats: chats.map(|c| c.iter().map(|id| id.parse().unwrap()).collect()),
            expires_at: None,
        };
        let catalog: &dyn Catalog = &*self.catalog;
        issue_key(catalog, &*self.clock, request)
            .await
            .unwrap()
            .secret
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Response {
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub(crate) async fn answer(&self, request: Request<Body>) -> Answer {
        let response = self.send(request).await;
        let (parts, body) = response.into_parts();
        Answer {
            status: parts.status,
            headers: parts.headers,
            bytes: axum::body::to_bytes(body, 64 << 20).await.unwrap(),
        }
    }

    pub(crate) async fn call(
        &self,
        key: &str,
        method: &str,
        path: &str,
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !key.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
        }
        self.answer(request.body(body.into()).unwrap()).await
    }

    /// GET with the admin key.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(&self.admin, "GET", path, Body::empty()).await
    }

    /// POST of JSON with the admin key.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(&self.admin, "POST", path, body.to_string()).await
    }

    /// Appends a record; returns its offset.
    pub(crate) async fn append(
        &self,
        topic: Topic,
        partition: u32,
        key: &str,
        value: impl Into<Bytes>,
    ) -> u64 {
        append(&*self.log, topic, partition, key, value.into()).await
    }

    /// Takes a message through raw, `messages` and the store, as the stages would; returns it with its origin.
    pub(crate) async fn take_in(&self, mut message: Message) -> Message {
        let chat = message.chat.id.to_string();
        let partition = partition_of(message.chat.id);
        let raw =
            json!({"v": 1, "source": {"kind": "export", "import": "t"}, "payload": message.text});
        let offset = self
            .append(Topic::TELEGRAM_RAW, partition, &chat, raw.to_string())
            .await;
        message.origin = Some(Origin {
            topic: Topic::TELEGRAM_RAW,
            partition: PartitionId(partition),
            offset: Offset(offset),
        });
        let record = serde_json::to_vec(&message).unwrap();
        self.append(Topic::MESSAGES, partition, &chat, record.clone())
            .await;
        let told = telesift_windows::Told::read(&record, Offset(offset)).unwrap();
        self.catalog.tell(Generation::FIRST, told);
        let vector = vector(&message.text);
        self.store
            .apply(vec![IndexedMessage {
                message: message.clone(),
                vector: Some(vector),
            }])
            .await
            .unwrap();
        message
    }
}

pub(crate) async fn append(
    log: &dyn RecordLog,
    topic: Topic,
    partition: u32,
    key: &str,
    value: Bytes,
) -> u64 {
    let at = TopicPartition::new(topic, PartitionId(partition));
    let record = NewRecord {
        key: Bytes::copy_from_slice(key.as_bytes()),
        value,
        unique: Vec::new(),
    };
    let outcomes = log
        .commit(Transaction::appends(vec![(at, record)]))
        .await
        .unwrap();
    match outcomes[0] {
        Outcome::Appended { offset, .. } => offset.0,
        Outcome::Duplicate => panic!("nothing is unique here"),
    }
}

/// OPS lives in partition 0, everything else in 1.
fn partition_of(chat: ChatId) -> u32 {
    u32::from(chat.to_string() != OPS)
}

/// A message of the class, one second after another by id.
pub(crate) fn message(chat: &str, id: i64, class: &str, text: &str) -> Message {
    let score = match class {
        "signal" => 0.9,
        "weak_signal" => 0.5,
        _ => 0.1,
    };
    let second = 1_767_607_200 + id;
    let time = telesift_schemas::Timestamp::from_second(second).unwrap();
    serde_json::from_value(json!({
        "v": 1, "id": format!("{chat}:{id}"),
        "chat": {"id": chat, "title": if chat == OPS { "Ops" } else { "Новини" }, "kind": "supergroup"},
        "message_id": id, "edit": 0, "event_time": time,
        "author": {"id": "777", "name": "Olena", "kind": "user"},
        "kind": "text", "text": text, "lang": "uk", "reply_to": null, "thread": null, "forward": null,
        "links": [], "media": null, "reactions": {"👍": 3}, "deleted_at": null,
        "screen": {"class": class, "score": score, "factors": {"question": 0.4}, "flags": [], "rules": "length@1+0"},
    }))
    .unwrap()
}

/// Four floats that tell texts apart a little; the zero vector for a text without letters.
fn vector(text: &str) -> Vec<f32> {
    let mut v = [0.0f32; 4];
    for c in text.chars().filter(|c| c.is_alphabetic()) {
        v[c as usize % 4] += 1.0;
    }
    let norm = v.iter().map(|x| x * x).sum::<f32>().sqrt();
    v.iter()
        .map(|x| if norm > 0.0 { x / norm } else { 0.0 })
        .collect()
}

/// A provider of the configuration.
fn near() -> Arc<ScriptedProvider> {
    let cost = telesift_schemas::Usage::default();
    Arc::new(ScriptedProvider::new("near", true, cost, cost))
}

/// Embeds by counting letters.
struct CountingEmbedder;

#[async_trait]
impl Embedder for CountingEmbedder {
    fn model(&self) -> &EmbeddingModel {
        static MODEL: std::sync::LazyLock<EmbeddingModel> =
            std::sync::LazyLock::new(|| EmbeddingModel {
                id: "counting@1".into(),
                dimensions: 4,
            });
        &MODEL
    }

    fn cost(&self) -> EmbeddingCost {
        EmbeddingCost::Negligible
    }

    async fn embed(&self, texts: &[&str], _: Purpose) -> Result<Vec<Vec<f32>>, EmbedError> {
        Ok(texts.iter().map(|t| vector(t)).collect())
    }
}

/// Scores by length.
struct LengthExplainer;

impl Explainer for LengthExplainer {
    fn explain(&self, raw: &[u8], rules: &RuleSet) -> Option<Explanation> {
        let (bias, value, weight) = (-1.0, raw.len() as f64, 0.01);
        let logit = bias + value * weight;
        Some(Explanation {
            bias,
            factors: vec![Factor {
                name: "length".into(),
                value,
                weight,
                contribution: value * weight,
                evidence: Vec::new(),
            }],
            logit,
            score: 1.0 / (1.0 + (-logit).exp()),
            weak_signal_from: 0.3,
            signal_from: 0.7,
            class: "weak_signal".into(),
            rules: rules.version.clone(),
            spam: SpamExplanation::default(),
        })
    }
}

/// While it lives, snapshots list the fields of objects by name: whether JSON keeps their order depends on what else is
/// built with this crate.
pub(crate) fn sorted_maps() -> impl Drop {
    let mut settings = insta::Settings::clone_current();
    settings.set_sort_maps(true);
    settings.bind_to_scope()
}
