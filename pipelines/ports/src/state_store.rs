//! The small state of a log that cannot keep any itself: positions, counters, epoch; guarded by compare-and-set.

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    leases::Fence,
    record_log::{self, StateWrite},
};

/// Keys and values that change together or not at all. One store serves every process that shares a log.
#[async_trait]
pub trait StateStore: Send + Sync + 'static {
    /// The value of `key`, as the last committed change left it.
    async fn get(&self, key: &str) -> Result<Option<Bytes>>;

    /// Every key that starts with `prefix`, with its value, ascending by the bytes of the key.
    async fn list(&self, prefix: &str) -> Result<Vec<(String, Bytes)>>;

    /// Writes `writes`, durably and as one, if every key of `guards` holds what is expected there (`None`: is absent).
    /// Of several writes to one key the last counts.
    ///
    /// # Errors
    /// [`Error::GuardFailed`]: nothing was written. [`Error::Unavailable`]: read back before going on if it says so.
    async fn compare_and_set(&self, guards: &[StateWrite], writes: &[StateWrite]) -> Result<()> {
        self.compare_and_set_under(guards, writes, &Fence::open())
            .await
    }

    /// The same, if the lease behind `fence` is still held.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] if not: nothing was written.
    async fn compare_and_set_under(
        &self,
        guards: &[StateWrite],
        writes: &[StateWrite],
        fence: &Fence,
    ) -> Result<()>;
}

/// Result of a call.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A guard did not hold.
    #[error("state `{key}` changed meanwhile: another owner committed")]
    GuardFailed {
        /// The first key that did not.
        key: String,
    },
    /// The lease under which this was done expired or went to another worker.
    #[error("the lease `{name}` is lost: another worker may hold it by now")]
    LeaseLost {
        /// Its name.
        name: String,
    },
    /// It cannot be reached.
    #[error("the state of the log is unavailable: {reason}")]
    Unavailable {
        /// What happened, without secrets.
        reason: String,
        /// Whether a change may have been made all the same.
        ambiguous: bool,
    },
    /// What is there cannot be read by this version.
    #[error("the state of the log is damaged: {0}")]
    Damaged(String),
}

impl Error {
    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Error::Unavailable { .. })
    }
}

impl From<Error> for record_log::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::GuardFailed { key } => record_log::Error::GuardFailed { key },
            Error::LeaseLost { name } => record_log::Error::LeaseLost { name },
            Error::Unavailable { reason, ambiguous } => {
                record_log::Error::Unavailable { reason, ambiguous }
            }
            Error::Damaged(reason) => record_log::Error::Unavailable {
                reason,
                ambiguous: false,
            },
        }
    }
}
