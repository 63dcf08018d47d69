-- Times are unix microseconds, UTC. Lists and counters are JSON.

CREATE TABLE stage_states (
    stage        TEXT    NOT NULL,
    topic        TEXT    NOT NULL,
    partition_id INTEGER NOT NULL,
    next_offset  INTEGER NOT NULL,
    counters     TEXT    NOT NULL,
    PRIMARY KEY (stage, topic, partition_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE imports (
    id          TEXT    NOT NULL PRIMARY KEY,
    name        TEXT    NOT NULL,
    chats       TEXT    NOT NULL,
    tz          TEXT    NOT NULL,
    file        BLOB    NOT NULL, -- a path: bytes, not always text
    bytes_total INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    state       TEXT    NOT NULL,
    progress    TEXT    NOT NULL,
    error       TEXT
) STRICT;

CREATE TABLE api_keys (
    id           TEXT    NOT NULL PRIMARY KEY,
    name         TEXT    NOT NULL,
    secret_hash  BLOB    NOT NULL UNIQUE,
    scopes       TEXT    NOT NULL,
    chats        TEXT, -- NULL: every chat
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    revoked_at   INTEGER,
    last_used_at INTEGER
) STRICT;
