//! The queries of replays. State and progress are written apart; each write says in its `WHERE` what it expects.

pub(crate) const INSERT: &str = "
    INSERT INTO replays (id, spec, base_rules, new_rules, state, processed, positions, result, samples, error,
                         created_at, started_at, ended_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";

pub(crate) const ONE: &str = "
    SELECT id, spec, state, positions, result, error, created_at, started_at, ended_at, samples FROM replays
    WHERE id = $1";

pub(crate) const RULES: &str = "SELECT base_rules, new_rules FROM replays WHERE id = $1";

/// Without samples, which are most of a row.
pub(crate) const PAGE: &str = "
    SELECT id, spec, state, positions, result, error, created_at, started_at, ended_at FROM replays
    WHERE $1 IS NULL OR id < $1
    ORDER BY id DESC LIMIT $2";

pub(crate) const UNFINISHED: &str = "
    SELECT id, spec, state, positions, result, error, created_at, started_at, ended_at FROM replays
    WHERE state IN ('queued', 'running', 'paused')
    ORDER BY id";

/// No row if the replay is over or stands elsewhere than at `$2`.
pub(crate) const PUT_PROGRESS: &str = "
    UPDATE replays SET processed = $3, positions = $4, result = $5, samples = $6
    WHERE id = $1 AND processed = $2 AND state IN ('queued', 'running', 'paused')";

/// No row if the replay is not in the state `$2`. The first start stays.
pub(crate) const MOVE: &str = "
    UPDATE replays
    SET state = $3, error = $4, started_at = COALESCE(started_at, $5), ended_at = COALESCE(ended_at, $6)
    WHERE id = $1 AND state = $2";
