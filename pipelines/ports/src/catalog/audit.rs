//! The audit log: who administered what, when, and how it ended.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use telesift_schemas::Timestamp;

use super::Result;

/// Records of administration. Each is stored before the deed and completed after it, so that a deed without an outcome
/// means that the process ended in between. Never holds a secret.
#[async_trait]
pub trait AuditLog: Send + Sync + 'static {
    /// Stores a record, as a rule without an outcome.
    ///
    /// # Errors
    /// [`Error::Conflict`](super::Error::Conflict) if there is one of that id.
    async fn begin_audit(&self, record: &AuditRecord) -> Result<()>;

    /// Notes how it ended, and `target` if it was not known before. A record that is not there stays absent.
    async fn end_audit(&self, id: &str, target: Option<&str>, outcome: &AuditOutcome)
    -> Result<()>;

    /// Records the filter lets through, newest first, after `after` if given.
    async fn audits(
        &self,
        filter: &AuditFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<AuditRecord>>;
}

/// One deed of administration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// Sorts by time (UUID v7).
    pub id: String,
    /// When it was asked for.
    pub at: Timestamp,
    /// The id of the key it was asked with; `None` for the server itself.
    pub actor: Option<String>,
    /// The key's name then.
    pub actor_name: String,
    /// What, such as `keys.create`.
    pub action: String,
    /// On what, such as the id of a key; `None` where nothing came into being.
    pub target: Option<String>,
    /// The address it came from, where known.
    pub address: Option<String>,
    /// The id of the request, which stands in the server's log too.
    pub request: Option<String>,
    /// How it ended; `None` while it runs, or if the process ended meanwhile.
    pub outcome: Option<AuditOutcome>,
}

/// How a deed ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditOutcome {
    /// The HTTP status of the answer.
    pub status: u16,
    /// The error code, of an answer that was none.
    pub code: Option<String>,
}

/// Which records are wanted; what is `None` does not narrow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only this action.
    pub action: Option<String>,
    /// Only of the key with this id.
    pub actor: Option<String>,
    /// Only on this.
    pub target: Option<String>,
    /// Only from then on.
    pub since: Option<Timestamp>,
    /// Only before then.
    pub until: Option<Timestamp>,
}

impl AuditFilter {
    /// Whether `record` is wanted.
    pub fn matches(&self, record: &AuditRecord) -> bool {
        let is = |wanted: &Option<String>, found: Option<&str>| {
            wanted.is_none() || wanted.as_deref() == found
        };
        is(&self.action, Some(&record.action))
            && is(&self.actor, record.actor.as_deref())
            && is(&self.target, record.target.as_deref())
            && self.since.is_none_or(|since| record.at >= since)
            && self.until.is_none_or(|until| record.at < until)
    }
}
