//! An API over a log of messages, served on a free port.

use std::{net::SocketAddr, ops::Range, sync::Arc, time::SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use telesift_api::{
    AlwaysHealthy, ApiConfig, ApiState, KeyRequest, LimitsConfig, issue_key, router, serve,
};
use telesift_ports::{
    AtomIndex, Embedder, Explainer, Generations, RecordLog,
    catalog::Scope,
    embedder::{EmbedError, EmbeddingCost, EmbeddingModel, Purpose},
    explain::Explanation,
    memory::{ManualClock, MemoryCatalog, MemoryLog, MemoryProviders, MemoryStore},
    record_log::{NewRecord, Retention, TopicConfig, Transaction},
    rules::RuleSet,
};
use telesift_schemas::{PartitionId, Topic, TopicPartition};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{bots, fake_imports::FakeImports, fake_replays::FakeReplays, rules};

const PARTITIONS: u32 = 4;

pub(crate) struct Served {
    log: Arc<dyn RecordLog>,
    stop: CancellationToken,
    serving: tokio::task::JoinHandle<()>,
    pub(crate) address: SocketAddr,
    pub(crate) key: String,
}

impl Served {
    pub(crate) async fn start(log: Arc<dyn RecordLog>) -> Served {
        let topic = TopicConfig {
            partitions: PARTITIONS,
            retention: Retention::default(),
        };
        log.create_topic(&Topic::MESSAGES, topic).await.unwrap();
        let (clock, catalog) = (
            Arc::new(ManualClock::default()),
            Arc::new(MemoryCatalog::new()),
        );
        // Rules play no part here: they have a log of their own.
        let decisions = Arc::new(MemoryLog::new());
        for (topic, partitions) in Topic::ALL {
            let config = TopicConfig {
                partitions: partitions.unwrap_or(1),
                retention: Retention::default(),
            };
            decisions.create_topic(&topic, config).await.unwrap();
        }
        let keeper = rules::keeper(&decisions, &catalog, &clock).await;
        let bots = bots::desk(&decisions, &catalog, &clock).await;
        let request = KeyRequest {
            name: "bench".into(),
            scopes: vec![Scope::Read],
            chats: None,
            expires_at: None,
        };
        let key = issue_key(&*catalog, &*clock, request).await.unwrap().secret;
        let stop = CancellationToken::new();
        let router = router(ApiState {
            log: log.clone(),
            store: Arc::new(MemoryStore::new(None)),
            catalog,
            imports: Arc::new(FakeImports::new()),
            bots: Arc::new(bots),
            replays: Arc::new(FakeReplays::default()),
            atom_index: Arc::new(AtomIndex::new(
                Arc::new(MemoryStore::new(None)),
                Arc::new(Nothing),
            )),
            generations: Arc::new(Generations::first_only(log.clone())),
            providers: Arc::new(MemoryProviders::default()),
            embedder: Arc::new(Nothing),
            rules: Arc::new(keeper),
            explainer: Arc::new(Nothing),
            clock,
            config: ApiConfig {
                limits: LimitsConfig {
                    key_per_min: 0,
                    address_per_min: 0,
                    ..LimitsConfig::default()
                },
                ..ApiConfig::default()
            },
            metrics: Arc::new(String::new),
            health: Arc::new(AlwaysHealthy),
            shutdown: stop.clone(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Served {
            log,
            serving: tokio::spawn(serve(listener, router, 20_000, stop.clone())),
            stop,
            address,
            key,
        }
    }

    /// The id of the chat with this number.
    pub(crate) fn chat(n: u64) -> String {
        format!("-100{:010}", 1_000_000_000 + n)
    }

    /// Appends messages in one commit, in turn to the chats; each says when.
    pub(crate) async fn append(&self, numbers: Range<u64>, n_chats: u64) {
        let records = numbers.map(|n| {
            let chat = n % n_chats;
            let partition = PartitionId(chat as u32 % PARTITIONS);
            let record = NewRecord {
                key: Bytes::from(Served::chat(chat)),
                value: message(n, chat),
                unique: Vec::new(),
            };
            (TopicPartition::new(Topic::MESSAGES, partition), record)
        });
        let transaction = Transaction::appends(records.collect());
        self.log.commit(transaction).await.unwrap();
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.serving.await.unwrap();
    }
}

/// Nanoseconds since 1970.
pub(crate) fn now_ns() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64
}

fn message(n: u64, chat: u64) -> Bytes {
    let id = Served::chat(chat);
    let text = format!("at={};{}", now_ns(), "слово ".repeat(20));
    let message = serde_json::json!({
        "v": 1, "id": format!("{id}:{n}"),
        "chat": {"id": id, "title": "Ops", "kind": "supergroup"},
        "message_id": n, "edit": 0, "event_time": "2026-01-05T10:00:00Z",
        "author": {"id": "777", "name": "Olena", "kind": "user"},
        "kind": "text", "text": text, "lang": "uk", "reply_to": null, "thread": null, "forward": null,
        "links": [], "media": null, "reactions": {}, "deleted_at": null,
        "screen": {"class": "signal", "score": 0.9, "factors": {"question": 0.4}, "flags": [], "rules": "length@1+0"},
        "origin": {"topic": "telegram-raw", "partition": 0, "offset": n},
    });
    serde_json::to_vec(&message).unwrap().into()
}

/// What a tail never asks for.
struct Nothing;

#[async_trait]
impl Embedder for Nothing {
    fn model(&self) -> &EmbeddingModel {
        static MODEL: std::sync::LazyLock<EmbeddingModel> =
            std::sync::LazyLock::new(|| EmbeddingModel {
                id: "none@1".into(),
                dimensions: 1,
            });
        &MODEL
    }

    fn cost(&self) -> EmbeddingCost {
        EmbeddingCost::Negligible
    }

    async fn embed(&self, texts: &[&str], _: Purpose) -> Result<Vec<Vec<f32>>, EmbedError> {
        Ok(texts.iter().map(|_| vec![1.0]).collect())
    }
}

impl Explainer for Nothing {
    fn explain(&self, _: &[u8], _: &RuleSet) -> Option<Explanation> {
        None
    }
}
