//! Who asks, and what they may do: a key or ticket comes in, a [`Viewer`] leaves. Which route needs which right stands
//! in [`crate::access`].
//!
//! | scope | may |
//! |---|---|
//! | `read` | messages, search, chats, topics, records, tail, tickets; with an unlimited key statistics, dead letters, rules, metrics and every topic |
//! | `review` | what `read` may; labels, its own and everybody's; reviews come with their routes |
//! | `ingest` | imports, with an unlimited key |
//! | `admin` | everything, keys and rules too; never limited to chats |
//!
//! A key limited to chats sees nothing of others. That is enforced in [`crate::visible`], which no route can go around.

use std::sync::Arc;

use telesift_ports::catalog::{KeyRow, Scope};
use telesift_schemas::{ChatId, Timestamp};

use crate::problem::{Code, Problem, Result};

mod extract;
mod issue;
mod key_ring;
mod tickets;
mod watch;

pub(crate) use extract::{Admin, Auditor, Follower, Importer, Reader, Reviewer, authenticate};
pub use issue::{IssueError, IssuedKey, KeyRequest, is_known_key, issue_key};
pub(crate) use key_ring::{KeyRing, SecretHash, hash};
pub(crate) use tickets::Tickets;
pub(crate) use watch::{LiveKey, LiveKeys};

/// The owner of a valid key.
#[derive(Clone, Debug)]
pub(crate) struct Viewer {
    pub(crate) key: Arc<KeyRow>,
    pub(crate) hash: SecretHash,
}

impl Viewer {
    /// The only chats this viewer may see; `None` = all.
    pub(crate) fn visible_chats(&self) -> Option<&[ChatId]> {
        self.key.chats.as_deref()
    }

    /// # Errors
    /// 403 unless one of `scopes`, or `admin`, is among the key's.
    pub(crate) fn require_any(&self, scopes: &[Scope]) -> Result<()> {
        let has = |scope: &Scope| self.key.scopes.contains(scope);
        if has(&Scope::Admin) || scopes.iter().any(has) {
            return Ok(());
        }
        let needed = scopes.first().copied().unwrap_or(Scope::Admin).as_str();
        Err(Problem::new(
            Code::MissingScope,
            format!("this needs a key with the scope `{needed}`"),
        )
        .with("scope", needed))
    }

    /// # Errors
    /// 403 if the key is limited to chats.
    pub(crate) fn require_unlimited(&self) -> Result<()> {
        if self.key.chats.is_none() {
            return Ok(());
        }
        Err(Problem::new(
            Code::LimitedKey,
            "this spans all chats, and the key is limited to some",
        ))
    }
}

/// Whether the key works at `now`.
pub(crate) fn is_valid(key: &KeyRow, now: Timestamp) -> bool {
    key.revoked_at.is_none() && key.expires_at.is_none_or(|at| now < at)
}

pub(crate) fn unauthorized() -> Problem {
    Problem::new(
        Code::Unauthorized,
        "send `Authorization: Bearer KEY` with a key that is neither expired nor revoked",
    )
}
