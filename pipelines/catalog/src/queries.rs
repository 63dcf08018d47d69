//! The queries of the catalog (those of labels stand in `labels`), in the common subset of SQLite and Postgres: one text,
//! both databases.
//!
//! The subset: `$n` placeholders, `ON CONFLICT DO NOTHING` and `DO UPDATE … WHERE`, `COALESCE`, `CASE`-free comparisons.
//! Every statement is a transaction of its own; a compare-and-set says what it expects in its `WHERE`, and the number of
//! rows says whether that held.

pub(crate) mod leases;
pub(crate) mod replays;

/// Answers if the database is there and its tables are readable.
pub(crate) const PING: &str = "SELECT id FROM api_keys LIMIT 1";

pub(crate) const STAGE_STATE: &str = "
    SELECT next_offset, counters, last_retry FROM stage_states
    WHERE stage = $1 AND topic = $2 AND partition_id = $3";

pub(crate) const STAGE_STATES: &str = "
    SELECT next_offset, counters, last_retry, stage, topic, partition_id FROM stage_states
    ORDER BY stage, topic, partition_id";

pub(crate) const REMOVE_STAGE_STATES: &str = "DELETE FROM stage_states WHERE stage = $1";

/// The first commit of a stage: no row if there is a state already, or the lease `$7` with token `$8` is lost.
pub(crate) const INSERT_STAGE_STATE: &str = "
    INSERT INTO stage_states (stage, topic, partition_id, next_offset, counters, last_retry)
    SELECT $1, $2, $3, $4, $5, $6
    WHERE $7 IS NULL OR EXISTS (
        SELECT token FROM leases, database_clock WHERE name = $7 AND token = $8 AND expires_at > now_us)
    ON CONFLICT (stage, topic, partition_id) DO NOTHING";

/// A later commit of a stage: no row if the stored position is not `$9`, or the lease is lost.
pub(crate) const UPDATE_STAGE_STATE: &str = "
    UPDATE stage_states SET next_offset = $4, counters = $5, last_retry = $6
    WHERE stage = $1 AND topic = $2 AND partition_id = $3 AND next_offset = $9
        AND ($7 IS NULL OR EXISTS (
            SELECT token FROM leases, database_clock WHERE name = $7 AND token = $8 AND expires_at > now_us))";

pub(crate) const INSERT_IMPORT: &str = "
    INSERT INTO imports (id, name, chats, tz, file, bytes_total, created_at, state, progress)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";

pub(crate) const UPDATE_IMPORT: &str = "
    UPDATE imports SET state = $2, progress = $3, error = $4 WHERE id = $1";

pub(crate) const IMPORT: &str = "
    SELECT id, name, chats, tz, file, bytes_total, created_at, state, progress, error FROM imports
    WHERE id = $1";

pub(crate) const IMPORTS: &str = "
    SELECT id, name, chats, tz, file, bytes_total, created_at, state, progress, error FROM imports
    WHERE $1 IS NULL OR id < $1
    ORDER BY id DESC LIMIT $2";

pub(crate) const UNFINISHED_IMPORTS: &str = "
    SELECT id, name, chats, tz, file, bytes_total, created_at, state, progress, error FROM imports
    WHERE state IN ('queued', 'running')
    ORDER BY id";

pub(crate) const INSERT_KEY: &str = "
    INSERT INTO api_keys (id, name, secret_hash, scopes, chats, created_at, expires_at, revoked_at, last_used_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";

pub(crate) const KEY_BY_HASH: &str = "
    SELECT id, name, scopes, chats, created_at, expires_at, revoked_at, last_used_at FROM api_keys
    WHERE secret_hash = $1";

pub(crate) const KEYS: &str = "
    SELECT id, name, scopes, chats, created_at, expires_at, revoked_at, last_used_at FROM api_keys
    WHERE $1 IS NULL OR id < $1
    ORDER BY id DESC LIMIT $2";

/// The first revocation stays.
pub(crate) const REVOKE_KEY: &str = "
    UPDATE api_keys SET revoked_at = COALESCE(revoked_at, $2) WHERE id = $1";

/// Writes nothing within the minute already noted, and never goes back.
pub(crate) const TOUCH_KEY: &str = "
    UPDATE api_keys SET last_used_at = $2
    WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)";
