//! The message store: the current version of every message, searchable; superseded versions beside it.

mod labels;
mod ranking;
mod versions;

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use telesift_schemas::{ChatId, Class, Generation, Message, MessageKey, MessageKind, Timestamp};

use crate::{catalog, embedder::EmbeddingModel, leases::Term, providers::KeptHere};

pub use labels::VersionLabel;
pub use ranking::{Candidate, LegDepths, RRF_K, Ranked, rank};
pub use versions::{Versions, searched_text, sort_versions};

/// A projection of `messages`. It can be thrown away and rebuilt by replay.
#[async_trait]
pub trait MessageStore: Send + Sync + 'static {
    /// From here on this handle writes under `term`, which is asked right before each commit. First whoever wrote before
    /// is shut out, so that none of his commits can come after this returns, and then what two writers of one message
    /// may have left twice is left once. A handle that began no term writes unasked: it must be the only one.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] if the lease is lost already.
    async fn begin_term(&self, term: Term) -> Result<()>;

    /// Merges a batch, durably: per key the greatest (edit, origin offset) becomes current, what it replaces goes to the
    /// superseded versions first. Idempotent: the same batch again changes nothing. The order within a batch does not
    /// matter.
    async fn apply(&self, batch: Vec<IndexedMessage>) -> Result<Applied>;

    /// Sets what analysts say of current versions: filters on class, the exclusion of noise, the flag `spam` and class
    /// counts go by it from then on. A label whose version is not current is passed over, as is one decided before what
    /// is set. Idempotent. An edit has no label; the same version applied again keeps its own. Returns how many versions
    /// were found with something else set.
    ///
    /// What is read back is the record, without labels.
    async fn set_labels(&self, labels: &[VersionLabel]) -> Result<usize>;

    /// The current version.
    async fn get(&self, key: &MessageKey) -> Result<Option<Message>>;

    /// Superseded versions, oldest first.
    async fn history(&self, key: &MessageKey) -> Result<Vec<Message>>;

    /// Current versions that pass `filter`, newest first by (event time, chat, message id), after `after` if given.
    async fn list(
        &self,
        filter: &MessageFilter,
        after: Option<&ListPosition>,
        limit: usize,
    ) -> Result<Vec<Message>>;

    /// The neighbours of a message in its chat by message id, ascending, itself included; all classes.
    async fn context(&self, key: &MessageKey, before: usize, after: usize) -> Result<Vec<Message>>;

    /// The best hits, best first: at most `request.limit` (which may be up to 10,000, for a pinned result that the caller
    /// pages through). Rows not yet covered by an index are searched too.
    async fn search(&self, request: &SearchRequest) -> Result<Vec<Hit>>;

    /// Fetches several current versions, in the order asked for; those gone are left out.
    async fn get_many(&self, keys: &[MessageKey]) -> Result<Vec<Message>>;

    /// Current versions of `classes` (by the label where there is one) that have words but no vector yet, newest first;
    /// deleted ones are left out, and those `kept` keeps. What the embed stage works off.
    async fn without_vector(
        &self,
        classes: &[Class],
        kept: Option<&KeptHere>,
        limit: usize,
    ) -> Result<Vec<Message>>;

    /// How many [`MessageStore::without_vector`] would give without a limit.
    async fn count_without_vector(&self, classes: &[Class], kept: Option<&KeptHere>)
    -> Result<u64>;

    /// Counts of current versions by class (a label's where there is one) and by the `top` noisiest chats, over `since..until`.
    async fn class_counts(&self, query: &ClassCountsQuery) -> Result<ClassCounts>;

    /// The chats messages were seen of, with the newest title and the number of current versions, by id.
    async fn chats(&self) -> Result<Vec<ChatSummary>>;

    /// The ids of the messages of a chat, deleted ones too, ascending.
    async fn message_ids(&self, chat: ChatId) -> Result<Vec<i64>>;

    /// Compacts, extends the indexes over new rows, prunes old table versions. Safe to call at any time; cheap when
    /// there is nothing to do.
    async fn maintain(&self) -> Result<()>;

    /// Numbers for `/metrics` and `doctor`.
    async fn stats(&self) -> Result<StoreStats>;
}

/// The table sets of a message store, one per generation that made some.
#[async_trait]
pub trait StoreSets: Send + Sync + 'static {
    /// Opens a set for vectors of `model`, making its tables where they are missing. Each is opened once in a process.
    ///
    /// # Errors
    /// [`Error::ModelMismatch`] if its tables hold vectors of another model: nothing was changed.
    async fn open(&self, of: Generation, model: &EmbeddingModel) -> Result<Arc<dyn MessageStore>>;

    /// Removes a set's tables. Doing so again changes nothing.
    async fn remove(&self, of: Generation) -> Result<()>;
}

/// Result of a store call.
pub type Result<T> = std::result::Result<T, Error>;

/// A message on its way into the store: the record as stored in the log, with its vector.
#[derive(Clone, Debug)]
pub struct IndexedMessage {
    /// The record, parsed.
    pub message: Message,
    /// Its vector of the store's model; `None` to be filled later (it is then found by text only).
    pub vector: Option<Vec<f32>>,
}

/// What a batch did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Keys not seen before.
    pub n_new: usize,
    /// Keys whose current version was replaced.
    pub n_replaced: usize,
    /// Versions older than the current one: kept as superseded.
    pub n_older: usize,
    /// Versions already stored.
    pub n_known: usize,
}

/// Which messages. Different fields are AND, values of one field OR; an empty list does not restrict.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MessageFilter {
    /// In these chats.
    pub chats: Vec<ChatId>,
    /// By these authors.
    pub authors: Vec<ChatId>,
    /// Of these classes, by the label where there is one. Empty: all but noise, unless `include_noise`.
    pub classes: Vec<Class>,
    /// With at least this score of the screen, 0..1, whatever the label.
    pub min_score: Option<f64>,
    /// In these languages.
    pub langs: Vec<String>,
    /// Of these kinds. Deleted messages are left out unless `deleted` is among them.
    pub kinds: Vec<MessageKind>,
    /// With at least one of these flags; `spam` by the label where there is one.
    pub flags: Vec<String>,
    /// Sent at or after.
    pub since: Option<Timestamp>,
    /// Sent before.
    pub until: Option<Timestamp>,
    /// Noise too.
    pub include_noise: bool,
    /// What the caller's key may see; set by the server, never by a client. `None` = all chats.
    #[serde(skip)]
    pub visible_chats: Option<Vec<ChatId>>,
    /// Only these messages, such as those on a subject; set by the server, never by a client. `None` = any.
    #[serde(skip)]
    pub only: Option<Vec<MessageKey>>,
}

impl MessageFilter {
    /// Whether `message` passes on the live tail: by the rule of lists, but a deletion comes through unless kinds are asked
    /// for, since who was shown the message must hear of it. A tombstone says nothing, so no other filter but that of chats
    /// can hold it back by default.
    pub fn matches_live(&self, message: &Message) -> bool {
        if message.kind != MessageKind::Deleted || !self.kinds.is_empty() {
            return self.matches(message);
        }
        let with_deleted = MessageFilter {
            kinds: vec![MessageKind::Deleted],
            ..self.clone()
        };
        with_deleted.matches(message)
    }

    /// Whether `message` passes; the same rule as the store's for messages without label.
    pub fn matches(&self, message: &Message) -> bool {
        fn any<T: PartialEq>(wanted: &[T], found: &T) -> bool {
            wanted.is_empty() || wanted.contains(found)
        }
        let Some(screen) = &message.screen else {
            return false;
        };
        let author_ok = self.authors.is_empty()
            || message
                .author
                .as_ref()
                .is_some_and(|a| self.authors.contains(&a.id));
        let class_ok = if self.classes.is_empty() {
            self.include_noise
                || screen.class != Class::Noise
                || self.kinds.contains(&MessageKind::Deleted)
        } else {
            self.classes.contains(&screen.class)
        };
        let kind_ok = if self.kinds.is_empty() {
            message.kind != MessageKind::Deleted
        } else {
            self.kinds.contains(&message.kind)
        };
        any(&self.chats, &message.chat.id)
            && self
                .visible_chats
                .as_ref()
                .is_none_or(|v| v.contains(&message.chat.id))
            && self.only.as_ref().is_none_or(|o| o.contains(&message.id))
            && author_ok
            && class_ok
            && kind_ok
            && any(&self.langs, &message.lang)
            && self.min_score.is_none_or(|min| screen.score >= min)
            && (self.flags.is_empty() || self.flags.iter().any(|f| screen.flags.contains(f)))
            && self.since.is_none_or(|t| message.event_time >= t)
            && self.until.is_none_or(|t| message.event_time < t)
    }
}

/// A place in a list ordered newest first; stable under inserts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListPosition {
    /// Event time of the last message given.
    pub event_time: Timestamp,
    /// And the message.
    pub key: MessageKey,
}

/// A search.
#[derive(Clone, Debug)]
pub struct SearchRequest {
    /// What to look for, parsed by the same analysis as the index.
    pub query: telesift_text::Query,
    /// The query's vector, for modes that need one.
    pub vector: Option<Vec<f32>>,
    /// How.
    pub mode: SearchMode,
    /// Where; applied before ranking, so that a selective filter still fills the limit.
    pub filter: MessageFilter,
    /// At most this many hits, 1..=10,000.
    pub limit: usize,
}

/// How to search.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SearchMode {
    /// Text and vectors, fused by reciprocal rank.
    #[default]
    Hybrid,
    /// Words only.
    Text,
    /// Vectors only.
    Vector,
}

/// One hit.
#[derive(Clone, Debug)]
pub struct Hit {
    /// The message.
    pub message: Message,
    /// What it is ranked by; comparable within one answer only.
    pub score: f64,
    /// BM25 score, where the text matched.
    pub text_score: Option<f64>,
    /// Cosine similarity, −1..1, where vectors were compared.
    pub vector_score: Option<f64>,
}

/// What to count.
#[derive(Clone, Debug)]
pub struct ClassCountsQuery {
    /// Sent at or after.
    pub since: Option<Timestamp>,
    /// Sent before.
    pub until: Option<Timestamp>,
    /// Width of a time bucket in seconds; `None` = one bucket.
    pub bucket_s: Option<u64>,
    /// How many of the noisiest chats to name.
    pub top: usize,
    /// What the caller's key may see; `None` = all chats.
    pub visible_chats: Option<Vec<ChatId>>,
}

/// Counts of current, undeleted messages.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClassCounts {
    /// Per time bucket, ascending; buckets without messages are left out.
    pub buckets: Vec<ClassBucket>,
    /// The chats with most noise, most first.
    pub noisiest: Vec<ChatNoise>,
}

/// Counts within one time bucket.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassBucket {
    /// Start of the bucket; the first event time's bucket where there is one bucket only.
    pub start: Option<Timestamp>,
    /// Messages of class noise, weak signal, signal.
    pub counts: [u64; 3],
}

/// How noisy a chat is.
#[derive(Clone, Debug, PartialEq)]
pub struct ChatNoise {
    /// The chat.
    pub chat: ChatId,
    /// Its newest title.
    pub title: Option<String>,
    /// Its noise messages.
    pub n_noise: u64,
    /// All its messages.
    pub n_messages: u64,
}

/// A chat the store knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatSummary {
    /// As its newest message shows it.
    pub chat: telesift_schemas::Chat,
    /// Current versions.
    pub n_messages: u64,
}

/// Numbers of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StoreStats {
    /// Current versions.
    pub n_messages: u64,
    /// Superseded versions.
    pub n_versions: u64,
    /// Rows the text index does not cover yet (they are found by a scan).
    pub n_unindexed_text: u64,
    /// Rows the vector index does not cover yet; all of them below the size that needs one.
    pub n_unindexed_vector: u64,
}

/// What can go wrong with the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The lease of the store's one writer expired or went to another worker. Nothing was written.
    #[error("the lease `{name}` is lost: another worker may write to the message store by now")]
    LeaseLost {
        /// Its name.
        name: String,
    },
    /// The store cannot be reached, is full, or lost a commit race; the same call may succeed later.
    #[error("message store unavailable: {0}")]
    Unavailable(String),
    /// The store refuses these messages, and would again.
    #[error("message store rejects `{key}`: {reason}")]
    Rejected {
        /// Which.
        key: MessageKey,
        /// Why, without message text.
        reason: String,
    },
    /// The table holds vectors of another model.
    #[error(
        "the message store holds vectors of `{actual}`, the configuration names {configured}: keep the old model in `[embed]`, name the new one in `[embed.next]`, replay `embed`, then switch"
    )]
    ModelMismatch {
        /// The table's.
        actual: String,
        /// The configuration's; several where there are.
        configured: String,
    },
    /// What lies at the store's address does not keep what the store must promise.
    #[error("a message store cannot be kept there: {0}")]
    Unsuitable(String),
    /// The store holds something this version cannot read.
    #[error(
        "message store damaged: {0}; it is filled again from the log: stop every server, move its folder away, start again"
    )]
    Damaged(String),
}

/// What a store's term says when it is asked.
impl From<catalog::Error> for Error {
    fn from(error: catalog::Error) -> Self {
        match error {
            catalog::Error::LeaseLost { name } => Error::LeaseLost { name },
            // Not knowing whether the lease holds, it must not write.
            silent => Error::Unavailable(format!("the lease cannot be checked: {silent}")),
        }
    }
}

impl Error {
    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Error::Unavailable(_))
    }
}
