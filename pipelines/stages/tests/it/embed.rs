//! Vectors follow behind the store: the most urgent first, once per text, whatever the model does.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use telesift_ports::{
    Clock, Embedder, MessageStore, RecordLog,
    embedder::{EmbedError, EmbeddingCost, EmbeddingModel, Purpose},
    message_store::IndexedMessage,
    providers::{ChatSetting, ChatSettings, Consent, Enrich},
};
use telesift_schemas::{ChatId, Class, DeadLetterCode, Message, Topic};
use telesift_stages::embed::{Embed, EmbedConfig};
use tokio_util::sync::CancellationToken;

use crate::flow::{Flow, at, message, model};

/// A model with a will of its own: refuses texts with `bad` in them, all of them while `broken`, none can reach it while
/// `away`.
struct Model {
    model: EmbeddingModel,
    texts: Mutex<Vec<String>>,
    away: AtomicBool,
    broken: AtomicBool,
    /// Whether it is somebody else's.
    elsewhere: AtomicBool,
}

impl Model {
    fn new() -> Arc<Self> {
        Arc::new(Model {
            model: model(),
            texts: Mutex::default(),
            away: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            elsewhere: AtomicBool::new(false),
        })
    }

    /// The texts embedded so far, in order.
    fn texts(&self) -> Vec<String> {
        self.texts.lock().unwrap().clone()
    }
}

#[async_trait]
impl Embedder for Model {
    fn model(&self) -> &EmbeddingModel {
        &self.model
    }

    fn cost(&self) -> EmbeddingCost {
        EmbeddingCost::Compute
    }

    fn is_local(&self) -> bool {
        !self.elsewhere.load(Ordering::SeqCst)
    }

    async fn embed(&self, texts: &[&str], _: Purpose) -> Result<Vec<Vec<f32>>, EmbedError> {
        let (model, reason) = (self.model.id.clone(), "as told".to_owned());
        if self.away.load(Ordering::SeqCst) {
            return Err(EmbedError::Unavailable { model, reason });
        }
        if self.broken.load(Ordering::SeqCst) || texts.iter().any(|t| t.contains("bad")) {
            return Err(EmbedError::Refused { model, reason });
        }
        let mut seen = self.texts.lock().unwrap();
        seen.extend(texts.iter().map(|t| (*t).to_owned()));
        Ok(vec![vec![1.0]; texts.len()])
    }
}

/// A stored message without a vector.
fn stored(id: i64, class: Class, text: &str) -> IndexedMessage {
    let mut message: Message = serde_json::from_str(&message(id, 0, text)).unwrap();
    message.event_time = telesift_schemas::Timestamp::from_second(1_767_600_000 + id).unwrap();
    message.screen.as_mut().unwrap().class = class;
    message.origin = Some(telesift_schemas::Origin {
        topic: Topic::TELEGRAM_RAW,
        partition: telesift_schemas::PartitionId(0),
        offset: telesift_schemas::Offset(id.unsigned_abs()),
    });
    IndexedMessage {
        message,
        vector: None,
    }
}

const URGENT: [Class; 2] = [Class::Signal, Class::WeakSignal];

impl Flow {
    /// Runs the stage until `is_done`.
    async fn embed(&self, model: &Arc<Model>, batch: usize, is_done: impl AsyncFn() -> bool) {
        let config = EmbedConfig {
            batch,
            pause: std::time::Duration::ZERO,
            max_pause: std::time::Duration::from_millis(5),
            ..EmbedConfig::default()
        };
        let stage = Embed::new(
            self.log.clone(),
            self.store.clone(),
            model.clone(),
            self.catalog.clone(),
            self.clock.clone(),
            vec![at(Topic::MESSAGES)],
            config,
        );
        let stop = CancellationToken::new();
        let run = tokio::spawn(stage.run(stop.clone()));
        self.wait_for(&run, is_done).await;
        stop.cancel();
        run.await.unwrap().unwrap();
    }

    async fn n_waiting(&self) -> u64 {
        self.store
            .count_without_vector(&URGENT, None)
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn signals_come_first_the_newest_first_and_noise_never() {
    let flow = Flow::new().await;
    let batch = vec![
        stored(1, Class::Signal, "old signal"),
        stored(2, Class::WeakSignal, "weak"),
        stored(3, Class::Signal, "new signal"),
        stored(4, Class::Noise, "noise"),
    ];
    flow.store.apply(batch).await.unwrap();
    let model = Model::new();
    flow.embed(&model, 1, async || flow.n_waiting().await == 0)
        .await;
    assert_eq!(model.texts(), ["new signal", "old signal", "weak"]);
    let noise = flow.store.count_without_vector(&[Class::Noise], None).await;
    assert_eq!(noise.unwrap(), 1);
}

#[tokio::test]
async fn a_model_elsewhere_is_given_no_private_text_without_consent() {
    let flow = Flow::new().await;
    let private = stored(1, Class::Signal, "between us");
    let person = private.message.chat.id;
    assert!(person.is_private());
    let mut open = stored(2, Class::Signal, "for everybody");
    (open.message.chat.id, open.message.id.chat) = (ChatId(-100), ChatId(-100));
    flow.store.apply(vec![private, open]).await.unwrap();
    let model = Model::new();
    model.elsewhere.store(true, Ordering::SeqCst);
    flow.embed(&model, 4, async || flow.n_waiting().await == 1)
        .await;
    assert_eq!(model.texts(), ["for everybody"]);
    let consent = ChatSetting {
        chat: person,
        enrich: Enrich::Remote,
        consent: Some(Consent {
            by: "ops".to_owned(),
            at: flow.clock.now(),
        }),
        updated_at: flow.clock.now(),
        decided: None,
    };
    flow.catalog.put_chat_setting(&consent).await.unwrap();
    flow.embed(&model, 4, async || flow.n_waiting().await == 0)
        .await;
    assert_eq!(model.texts(), ["for everybody", "between us"]);
}

#[tokio::test]
async fn a_text_in_several_chats_is_embedded_once() {
    let flow = Flow::new().await;
    let batch = (1..=9).map(|i| stored(i, Class::Signal, "the same news"));
    flow.store.apply(batch.collect()).await.unwrap();
    let model = Model::new();
    flow.embed(&model, 100, async || flow.n_waiting().await == 0)
        .await;
    assert_eq!(model.texts(), ["the same news"]);
}

#[tokio::test]
async fn a_refused_text_becomes_a_dead_letter_and_the_others_go_on() {
    let flow = Flow::new().await;
    let batch = (1..=20).map(|i| {
        let text = if i == 7 { "a bad text" } else { "a good text" };
        stored(i, Class::Signal, &format!("{text} {i}"))
    });
    flow.store.apply(batch.collect()).await.unwrap();
    let model = Model::new();
    let is_done = async || flow.n_waiting().await == 1 && !flow.dead_letters().await.is_empty();
    flow.embed(&model, 100, is_done).await;
    assert_eq!(
        model.texts().iter().filter(|t| t.contains("good")).count(),
        19
    );
    let letter = (7, DeadLetterCode::ModelRefused, 1);
    assert_eq!(flow.dead_letters().await, [letter]);
    // After a restart it is tried again; the letter stays one.
    let n = model.texts().len();
    let is_tried = async || model.texts().len() > n;
    flow.embed(&model, 100, is_tried).await;
    assert_eq!(flow.dead_letters().await, [letter]);
}

#[tokio::test]
async fn a_model_that_refuses_everything_is_waited_for_and_no_text_is_blamed() {
    let flow = Flow::new().await;
    let batch = (1..=3).map(|i| stored(i, Class::Signal, &format!("text {i}")));
    flow.store.apply(batch.collect()).await.unwrap();
    let model = Model::new();
    model.broken.store(true, Ordering::SeqCst);
    let mend = async {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        model.broken.store(false, Ordering::SeqCst);
    };
    let embed = flow.embed(&model, 100, async || flow.n_waiting().await == 0);
    tokio::join!(mend, embed);
    assert_eq!(flow.dead_letters().await, []);
}

#[tokio::test]
async fn a_model_that_is_away_is_waited_for() {
    let flow = Flow::new().await;
    let batch = vec![stored(1, Class::Signal, "text")];
    flow.store.apply(batch).await.unwrap();
    let model = Model::new();
    model.away.store(true, Ordering::SeqCst);
    let back = async {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        model.away.store(false, Ordering::SeqCst);
    };
    let embed = flow.embed(&model, 100, async || flow.n_waiting().await == 0);
    tokio::join!(back, embed);
    assert_eq!(model.texts(), ["text"]);
}

#[tokio::test]
async fn news_in_the_log_wakes_it() {
    let flow = Flow::new().await;
    let model = Model::new();
    let bring = async {
        let batch = vec![stored(1, Class::Signal, "fresh")];
        flow.store.apply(batch).await.unwrap();
        flow.append(Topic::MESSAGES, &[message(1, 0, "fresh")])
            .await;
    };
    let embed = flow.embed(&model, 10, async || !model.texts().is_empty());
    tokio::join!(bring, embed);
    let end = flow.log.bounds(&at(Topic::MESSAGES)).await.unwrap().end;
    assert_eq!((end.0, model.texts()), (1, vec!["fresh".to_owned()]));
}
