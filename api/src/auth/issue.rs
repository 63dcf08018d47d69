//! Makes keys: `tsk_<id>_<43 random letters and digits>`, shown once, stored hashed.

use rand::{Rng, distr::Alphanumeric};
use telesift_ports::{
    Catalog, Clock,
    catalog::{self, KeyRow, Scope},
};
use telesift_schemas::{ChatId, Timestamp};
use uuid::Uuid;

use super::hash;

/// What every key starts with, so that scanners for leaked secrets can know it.
const PREFIX: &str = "tsk_";
/// Random characters: log2(62) × 43 = 256 bits.
const N_RANDOM: usize = 43;
/// Longest name, in characters.
const MAX_NAME: usize = 200;
/// Most chats one key can be limited to.
const MAX_CHATS: usize = 1_000;

/// A key to be made.
#[derive(Clone, Debug)]
pub struct KeyRequest {
    /// A name for people, 1 to 200 characters.
    pub name: String,
    /// What it may do; at least one.
    pub scopes: Vec<Scope>,
    /// The only chats it may see; `None` = all.
    pub chats: Option<Vec<ChatId>>,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
}

/// A new key. `secret` is shown to its owner and kept nowhere.
pub struct IssuedKey {
    /// What was stored.
    pub row: KeyRow,
    /// The text to be sent as `Authorization: Bearer …`.
    pub secret: String,
}

/// Why no key was made.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// A field of the request cannot be.
    #[error("{reason}")]
    Invalid {
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The catalog did not take it.
    #[error(transparent)]
    Catalog(#[from] catalog::Error),
}

/// Makes a key and stores its hash.
///
/// # Errors
/// [`IssueError::Invalid`] when the request makes no sense; nothing was stored.
pub async fn issue_key(
    catalog: &dyn Catalog,
    clock: &dyn Clock,
    request: KeyRequest,
) -> Result<IssuedKey, IssueError> {
    let now = clock.now();
    let row = validated(request, now)?;
    let random: String = rand::rng()
        .sample_iter(Alphanumeric)
        .take(N_RANDOM)
        .map(char::from)
        .collect();
    let secret = format!("{PREFIX}{}_{random}", row.id);
    catalog.create_key(&row, &hash(&secret)).await?;
    Ok(IssuedKey { row, secret })
}

/// Whether the catalog knows the key of this text, revoked and expired ones too.
///
/// # Errors
/// If the catalog cannot say.
pub async fn is_known_key(catalog: &dyn Catalog, secret: &str) -> catalog::Result<bool> {
    Ok(catalog.key_by_hash(&hash(secret)).await?.is_some())
}

fn validated(request: KeyRequest, now: Timestamp) -> Result<KeyRow, IssueError> {
    let invalid = |field, reason| Err(IssueError::Invalid { field, reason });
    let name = request.name.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME {
        return invalid("name", "a key needs a name of 1 to 200 characters");
    }
    let mut scopes = request.scopes;
    scopes.sort_unstable();
    scopes.dedup();
    if scopes.is_empty() {
        return invalid("scopes", "a key needs at least one scope");
    }
    let mut chats = request.chats;
    if let Some(chats) = &mut chats {
        chats.sort_unstable();
        chats.dedup();
        if scopes.contains(&Scope::Admin) {
            return invalid(
                "chats",
                "a key with the scope `admin` cannot be limited to chats: it could make itself another",
            );
        }
        if chats.len() > MAX_CHATS {
            return invalid("chats", "a key can be limited to 1,000 chats at most");
        }
    }
    if request.expires_at.is_some_and(|at| at <= now) {
        return invalid("expires_at", "the expiry lies in the past");
    }
    Ok(KeyRow {
        id: Uuid::now_v7().simple().to_string(),
        name: name.to_owned(),
        scopes,
        chats,
        created_at: now,
        expires_at: request.expires_at,
        revoked_at: None,
        last_used_at: None,
    })
}

/// The id in a key's text; `None` if it does not look like a key.
pub(crate) fn id_in(secret: &str) -> Option<&str> {
    let (id, random) = secret.strip_prefix(PREFIX)?.split_once('_')?;
    let looks_right = random.len() == N_RANDOM && random.bytes().all(|b| b.is_ascii_alphanumeric());
    (looks_right && !id.is_empty()).then_some(id)
}
