//! Imports of export files, as the API sees them.

use std::{collections::BTreeMap, path::PathBuf};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use telesift_schemas::{ChatId, Timestamp};

/// Takes in spooled export files and appends their messages in the background, resuming by itself after a restart.
#[async_trait]
pub trait Imports: Send + Sync + 'static {
    /// Where uploads are to be spooled: on the same file system as the queue, so that taking one in is a rename.
    fn spool_dir(&self) -> PathBuf;

    /// Validates the spooled file from end to end, then queues it. The file belongs to the import from here on, and is
    /// removed if it is refused.
    ///
    /// # Errors
    /// [`ImportError::Invalid`] names byte offset and cause; nothing was queued.
    async fn submit(&self, request: ImportRequest) -> Result<ImportStatus, ImportError>;

    /// One import, with its progress as last committed.
    async fn status(&self, id: &str) -> Result<Option<ImportStatus>, ImportError>;

    /// Imports, newest first, after the import `after` if given.
    async fn list(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ImportStatus>, ImportError>;
}

/// An export to take in.
#[derive(Clone, Debug)]
pub struct ImportRequest {
    /// A name for people, such as the file's.
    pub name: String,
    /// Only these chats, if not empty.
    pub chats: Vec<ChatId>,
    /// IANA zone of zone-less dates.
    pub tz: String,
    /// The spooled file.
    pub file: PathBuf,
}

/// Where an import stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportStatus {
    /// Its id.
    pub id: String,
    /// A name for people.
    pub name: String,
    /// Where it stands.
    pub state: ImportState,
    /// When it was submitted.
    pub created_at: Timestamp,
    /// Counts, as of the last durable append.
    #[serde(flatten)]
    pub progress: ImportProgress,
    /// Size of the file.
    pub bytes_total: u64,
    /// Why it failed.
    pub error: Option<String>,
}

/// States of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportState {
    /// Waits for its turn.
    Queued,
    /// Being appended.
    Running,
    /// All appended, durably.
    Done,
    /// Given up; see `error`. What was appended stays.
    Failed,
}

impl ImportState {
    /// The name in JSON and in filters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// Counts of an import; committed in the same batch as the appends they count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportProgress {
    /// Entries of `messages` read so far.
    pub messages_read: u64,
    /// Appended.
    pub messages_new: u64,
    /// Refused: seen before.
    pub messages_duplicate: u64,
    /// Not appended, by reason, such as `chat_not_selected`.
    pub skipped: BTreeMap<String, u64>,
    /// Bytes of the file read so far.
    pub bytes_read: u64,
}

/// Why an import cannot be taken in or read.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file is no usable export.
    #[error("{cause} (byte {byte_offset})")]
    Invalid {
        /// Where in the file, from 0.
        byte_offset: u64,
        /// What is wrong and what to do.
        cause: String,
    },
    /// `tz` is no zone.
    #[error("unknown time zone `{0}`; use an IANA name such as `Europe/Kyiv`")]
    UnknownZone(String),
    /// Too many imports wait already.
    #[error("{0} imports are waiting already; try again when one is done")]
    QueueFull(usize),
    /// Another worker goes on with it: the lease is lost, or he committed already.
    #[error("another worker goes on with the import: {0}")]
    HandedOver(String),
    /// Disk or catalog failed.
    #[error("import storage: {0}")]
    Storage(String),
}
