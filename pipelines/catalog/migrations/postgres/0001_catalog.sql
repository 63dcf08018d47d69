-- Times are unix microseconds, UTC. Lists and counters are JSON.
-- COLLATE "C": ids and names sort by their bytes, as they do in SQLite, whatever the locale of the database.

CREATE TABLE stage_states (
    stage        TEXT   COLLATE "C" NOT NULL,
    topic        TEXT   COLLATE "C" NOT NULL,
    partition_id BIGINT NOT NULL,
    next_offset  BIGINT NOT NULL,
    counters     TEXT   NOT NULL,
    PRIMARY KEY (stage, topic, partition_id)
);

CREATE TABLE imports (
    id          TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    name        TEXT   NOT NULL,
    chats       TEXT   NOT NULL,
    tz          TEXT   NOT NULL,
    file        BYTEA  NOT NULL, -- a path: bytes, not always text
    bytes_total BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    state       TEXT   NOT NULL,
    progress    TEXT   NOT NULL,
    error       TEXT
);

CREATE TABLE api_keys (
    id           TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    name         TEXT   NOT NULL,
    secret_hash  BYTEA  NOT NULL UNIQUE,
    scopes       TEXT   NOT NULL,
    chats        TEXT, -- NULL: every chat
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT,
    revoked_at   BIGINT,
    last_used_at BIGINT
);
