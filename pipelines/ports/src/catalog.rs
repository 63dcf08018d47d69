//! The catalog: positions of the stages that write to stores, imports, keys, labels, the audit log. SQL behind it, one text
//! per query.

mod audit;
mod labels;
mod reactions;
mod stream_tickets;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use telesift_schemas::{ChatId, Offset, Timestamp};

use crate::{
    AnswerCache, ChatSettings, CostLedger, KnowledgeCatalog, Leases, LetterCatalog, StoryCatalog,
    WindowCatalog,
    imports::{ImportRequest, ImportState, ImportStatus},
    leases::Fence,
    ledger::{StageKey, StageState},
};

pub use audit::{AuditFilter, AuditLog, AuditOutcome, AuditRecord};
pub use labels::{InForce, LABELS_STAGE, Label, LabelFilter, LabelRow, Labels, in_force};
pub use reactions::{ChatLinks, REACTIONS_STAGE, ReactionCatalog, ReactionRow, reaction_counts};
pub use stream_tickets::{StreamTickets, TicketRow};

/// Small relational state. Everything but credentials can be rebuilt from the log.
#[async_trait]
pub trait Catalog:
    Labels
    + Leases
    + StoryCatalog
    + AuditLog
    + StreamTickets
    + LetterCatalog
    + ReactionCatalog
    + ChatLinks
    + KnowledgeCatalog
    + ChatSettings
    + CostLedger
    + AnswerCache
    + WindowCatalog
    + Send
    + Sync
    + 'static
{
    /// Position and counters of a log-to-store stage.
    async fn stage_state(&self, key: &StageKey) -> Result<Option<StageState>>;

    /// Stores position and counters in one transaction, if the stored position still is `expected` and the lease behind
    /// `fence` is still held.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] if the lease is lost; [`Error::Conflict`] if the position is another: another owner went on
    /// from here.
    async fn put_stage_state(
        &self,
        key: &StageKey,
        expected: Option<Offset>,
        state: &StageState,
        fence: &Fence,
    ) -> Result<()>;

    /// Removes what a stage left, in all its partitions. Doing so again changes nothing.
    async fn remove_stage_states(&self, stage: &str) -> Result<()>;

    /// All of them, by key.
    async fn stage_states(&self) -> Result<Vec<(StageKey, StageState)>>;

    /// Registers an import in the state `queued`; `id` sorts by time (UUID v7).
    async fn create_import(
        &self,
        id: &str,
        request: &ImportRequest,
        bytes_total: u64,
        at: Timestamp,
    ) -> Result<()>;

    /// Stores state, progress and error of an import.
    async fn update_import(&self, status: &ImportStatus) -> Result<()>;

    /// An import with what it was asked for.
    async fn import(&self, id: &str) -> Result<Option<ImportRow>>;

    /// Imports, newest first, after `after` if given.
    async fn imports(&self, after: Option<&str>, limit: usize) -> Result<Vec<ImportRow>>;

    /// Imports not yet done or failed, oldest first.
    async fn unfinished_imports(&self) -> Result<Vec<ImportRow>>;

    /// Stores a key by the hash of its secret.
    async fn create_key(&self, key: &KeyRow, secret_hash: &[u8; 32]) -> Result<()>;

    /// The key with this secret's hash, revoked and expired ones too.
    async fn key_by_hash(&self, secret_hash: &[u8; 32]) -> Result<Option<KeyRow>>;

    /// Keys, newest first, after `after` if given.
    async fn keys(&self, after: Option<&str>, limit: usize) -> Result<Vec<KeyRow>>;

    /// Revokes a key; `false` if there is none of that id. Doing so again changes nothing.
    async fn revoke_key(&self, id: &str, at: Timestamp) -> Result<bool>;

    /// Notes that a key was used.
    async fn touch_key(&self, id: &str, at: Timestamp) -> Result<()>;

    /// Whether the catalog answers.
    async fn ping(&self) -> Result<()>;
}

/// Result of a catalog call.
pub type Result<T> = std::result::Result<T, Error>;

/// An import as stored.
#[derive(Clone, Debug)]
pub struct ImportRow {
    /// What was asked for.
    pub request: ImportRequest,
    /// Where it stands, as last stored here (the log knows the progress of a running one better).
    pub status: ImportStatus,
}

impl ImportRow {
    /// Whether work on it is over.
    pub fn is_finished(&self) -> bool {
        matches!(self.status.state, ImportState::Done | ImportState::Failed)
    }
}

/// An API key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRow {
    /// Its id, not secret.
    pub id: String,
    /// A name for people.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// The only chats it may see; `None` = all.
    pub chats: Option<Vec<ChatId>>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
}

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Read messages, search, follow.
    Read,
    /// Label, review.
    Review,
    /// Import, send updates.
    Ingest,
    /// Everything, keys and rules too.
    Admin,
}

impl Scope {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Review => "review",
            Self::Ingest => "ingest",
            Self::Admin => "admin",
        }
    }
}

/// What can go wrong with the catalog.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stored value is not the one expected.
    #[error("`{what}` changed meanwhile: another owner committed")]
    Conflict {
        /// What.
        what: String,
    },
    /// The lease under which this was done expired or went to another worker.
    #[error("the lease `{name}` is lost: another worker may hold it by now")]
    LeaseLost {
        /// Its name.
        name: String,
    },
    /// The database cannot be reached, is locked or full.
    #[error("catalog unavailable: {0}")]
    Unavailable(String),
    /// Secrets cannot be sealed or opened; says what to do.
    #[error("{0}")]
    SecretKey(String),
    /// The database holds something this version cannot read.
    #[error("catalog damaged: {0}")]
    Damaged(String),
}

impl Error {
    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Error::Unavailable(_))
    }
}
