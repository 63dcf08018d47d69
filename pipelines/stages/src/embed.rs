//! Messages without a vector in, their vectors out: behind the store, newest signals first, so that text search never
//! waits.

mod retries;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::future::select_all;
use telesift_ports::{
    Clock, Embedder, MessageStore, RecordLog, catalog, dead_letters,
    embedder::{EmbedError, Purpose},
    message_store::{IndexedMessage, searched_text},
    providers::{ChatSettings, KeptHere},
    record_log::{StoredRecord, Transaction},
};
use telesift_schemas::{
    Class, DeadLetterCode, Generation, Message, MessageKey, Origin, TopicPartition,
};
use tokio_util::sync::CancellationToken;

use crate::{
    consumer::{StageError, delays, pause},
    dead_letter::{self, Refusal},
    generations::{Pace, stage_name},
    telemetry,
};

/// The stage's name in logs, metrics and dead letters.
pub const STAGE: &str = "embed";

/// What a model that works can always embed.
const PROBE: &str = "telesift";
/// Refused versions remembered, so that they are not tried again and again; a restart tries them once more.
const MAX_REFUSED: usize = 10_000;

/// How the stage works.
#[derive(Clone, Debug)]
pub struct EmbedConfig {
    /// Messages embedded between two looks at what is most urgent.
    pub batch: usize,
    /// What gets a vector, most urgent first.
    pub classes: Vec<Class>,
    /// How long the index may lag behind the log before what it adds is looked for: the pause after news.
    pub pause: Duration,
    /// The longest pause without news.
    pub max_pause: Duration,
}

impl Default for EmbedConfig {
    /// 256 messages, signals then weak signals; 1 s after news, 15 s without.
    fn default() -> Self {
        EmbedConfig {
            batch: 256,
            classes: vec![Class::Signal, Class::WeakSignal],
            pause: Duration::from_secs(1),
            max_pause: Duration::from_secs(15),
        }
    }
}

/// The chats whose texts `embedder` may not be given; `None` where all stay here anyway. Asked before each batch: a text that
/// left cannot be called back.
pub(crate) async fn kept_from(
    embedder: &dyn Embedder,
    settings: &(impl ChatSettings + ?Sized),
) -> catalog::Result<Option<KeptHere>> {
    match embedder.is_local() {
        true => Ok(None),
        false => Ok(Some(KeptHere::of(&settings.chat_settings().await?))),
    }
}

/// Fills in the vectors the store lacks.
///
/// Its progress is the store itself: a version either has its vector or has not, so there is no position to lose, and a
/// store filled anew is embedded anew.
pub struct Embed {
    log: Arc<dyn RecordLog>,
    store: Arc<dyn MessageStore>,
    embedder: Arc<dyn Embedder>,
    settings: Arc<dyn ChatSettings>,
    clock: Arc<dyn Clock>,
    inputs: Vec<TopicPartition>,
    config: EmbedConfig,
    stage: &'static str,
    pace: Option<Arc<Pace>>,
    refused: HashMap<(MessageKey, i64), Origin>,
    n_refused: Arc<AtomicU64>,
}

impl Embed {
    /// Embeds what `store` lacks, as far as the chats' `settings` let it go to where `embedder` works; `inputs` are the partitions of `messages`, whose news wake it.
    pub fn new(
        log: Arc<dyn RecordLog>,
        store: Arc<dyn MessageStore>,
        embedder: Arc<dyn Embedder>,
        settings: Arc<dyn ChatSettings>,
        clock: Arc<dyn Clock>,
        inputs: Vec<TopicPartition>,
        config: EmbedConfig,
    ) -> Self {
        Embed {
            log,
            store,
            embedder,
            settings,
            clock,
            inputs,
            config,
            stage: STAGE,
            pace: None,
            refused: HashMap::new(),
            n_refused: Arc::default(),
        }
    }

    /// The same for the store of `generation`: its dead letters are that generation's.
    pub fn of(mut self, generation: Generation) -> Self {
        self.stage = stage_name(STAGE, generation);
        self
    }

    /// At the pace of a replay, if one is given.
    pub fn at_pace(mut self, pace: Option<Arc<Pace>>) -> Self {
        self.pace = pace;
        self
    }

    /// Tells there how many texts the model refuses.
    pub fn counting(mut self, n_refused: Arc<AtomicU64>) -> Self {
        self.n_refused = n_refused;
        self
    }

    /// Runs until `shutdown`; the batch in flight is finished first. What may succeed later is repeated in place with
    /// jittered delays of up to 10 s; a text the model refuses becomes a dead letter, and the others go on.
    ///
    /// # Errors
    /// What no retry mends.
    pub async fn run(mut self, shutdown: CancellationToken) -> Result<(), StageError> {
        let mut delays = delays();
        self.count_refused();
        while !shutdown.is_cancelled() {
            match self.embed_next(&shutdown).await {
                Ok(true) => delays = self::delays(),
                Ok(false) => self.wait(&shutdown).await,
                Err(error) if error.is_retryable() => {
                    let delay = delays.next().unwrap_or(self.config.max_pause);
                    metrics::counter!(telemetry::RETRIES, "stage" => self.stage).increment(1);
                    tracing::warn!(stage = self.stage, delay_ms = delay.as_millis() as u64, %error, "will try again");
                    pause(delay, &shutdown).await;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Embeds the most urgent batch; false if nothing waits, retries included.
    async fn embed_next(&mut self, shutdown: &CancellationToken) -> Result<bool, StageError> {
        let kept = kept_from(&*self.embedder, &*self.settings).await?;
        for class in self.config.classes.clone() {
            let wanted = self.config.batch.max(1) + self.refused.len();
            let mut waiting = self
                .store
                .without_vector(&[class], kept.as_ref(), wanted)
                .await?;
            waiting.retain(|m| !self.refused.contains_key(&(m.id, m.edit)));
            waiting.truncate(self.config.batch.max(1));
            let backlog = self
                .store
                .count_without_vector(&[class], kept.as_ref())
                .await?;
            telemetry::backlog(self.stage, class.as_str(), backlog);
            if !waiting.is_empty() {
                let n = waiting.len();
                let started = std::time::Instant::now();
                match self.pace.clone() {
                    Some(pace) => pace.take_turn(self.embed(waiting), shutdown).await?,
                    None => self.embed(waiting).await?,
                }
                telemetry::batch(self.stage, n, started.elapsed());
                return Ok(true);
            }
        }
        self.run_retries().await?;
        Ok(false)
    }

    /// Embeds and stores, a text that stands in several messages once. A refused batch is halved until the refused text
    /// stands alone.
    async fn embed(&mut self, messages: Vec<Message>) -> Result<(), StageError> {
        let mut parts = vec![messages];
        while let Some(part) = parts.pop() {
            match self.vectors(&part).await {
                Ok(indexed) => {
                    self.store.apply(indexed).await?;
                }
                Err(EmbedError::Refused { .. }) if part.len() > 1 => {
                    let mut part = part;
                    let rest = part.split_off(part.len() / 2);
                    parts.extend([rest, part]);
                }
                Err(EmbedError::Refused { model, reason }) => {
                    self.probe().await?;
                    for message in part {
                        self.give_up(message, format!("`{model}` refuses it: {reason}"))
                            .await?;
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    async fn vectors(&self, messages: &[Message]) -> Result<Vec<IndexedMessage>, EmbedError> {
        let texts: Vec<_> = messages.iter().map(searched_text).collect();
        let mut places: HashMap<&str, usize> = HashMap::new();
        let mut distinct: Vec<&str> = Vec::new();
        for text in &texts {
            places.entry(text).or_insert_with(|| {
                distinct.push(text);
                distinct.len() - 1
            });
        }
        let vectors = self.embedder.embed(&distinct, Purpose::Passage).await?;
        let indexed = messages.iter().zip(&texts).map(|(message, text)| {
            let place = places.get(&**text).copied();
            IndexedMessage {
                message: message.clone(),
                vector: place.and_then(|i| vectors.get(i).cloned()),
            }
        });
        Ok(indexed.collect())
    }

    /// A model that refuses everything is not set up right, and no text is to blame: then this fails, as retryable.
    async fn probe(&self) -> Result<(), StageError> {
        match self.embedder.embed(&[PROBE], Purpose::Passage).await {
            Ok(_) => Ok(()),
            Err(
                EmbedError::Refused { model, reason } | EmbedError::Unavailable { model, reason },
            ) => Err(EmbedError::Unavailable { model, reason }.into()),
        }
    }

    async fn give_up(&mut self, message: Message, reason: String) -> Result<(), StageError> {
        let Some(origin) = message.origin.clone() else {
            return Ok(());
        };
        let at = TopicPartition::new(origin.topic.clone(), origin.partition);
        let value = serde_json::to_vec(&message).map_err(|e| StageError::State {
            key: message.id.to_string(),
            reason: e.to_string(),
        })?;
        let now = self.clock.now();
        let record = StoredRecord {
            offset: origin.offset,
            appended_at: now,
            key: Bytes::from(message.chat.id.to_string()),
            value: value.into(),
        };
        let refusal = Refusal::new(DeadLetterCode::ModelRefused, reason);
        let letter = dead_letter::append(self.stage, &at, &record, refusal, now);
        self.log.commit(Transaction::appends(vec![letter])).await?;
        if self.refused.len() >= MAX_REFUSED {
            self.refused.clear();
        }
        self.refused.insert((message.id, message.edit), origin);
        self.count_refused();
        Ok(())
    }

    fn count_refused(&self) {
        let n = self.refused.len() as u64;
        self.n_refused.store(n, Ordering::SeqCst);
    }

    /// Waits until `messages` moves on and the index had a moment, or for the longest pause.
    async fn wait(&self, shutdown: &CancellationToken) {
        let mut ends = Vec::new();
        // A letter somebody wants tried again is news too.
        let letters = dead_letters::partition();
        for at in self.inputs.iter().chain([&letters]) {
            if let Ok(bounds) = self.log.bounds(at).await {
                ends.push((at, bounds.end));
            }
        }
        let news = ends.iter().map(|(at, end)| self.log.wait_beyond(at, *end));
        let news: Vec<_> = news.collect();
        let any = async {
            match news.is_empty() {
                true => std::future::pending::<()>().await,
                false => drop(select_all(news).await),
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = any => pause(self.config.pause, shutdown).await,
            () = tokio::time::sleep(self.config.max_pause) => {}
        }
    }
}
