-- Times are unix microseconds, UTC. What a replay does, its positions and its results are JSON.

CREATE TABLE replays (
    id         TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    spec       TEXT   NOT NULL,
    base_rules TEXT   NOT NULL,
    new_rules  TEXT   NOT NULL,
    state      TEXT   NOT NULL,
    processed  BIGINT NOT NULL, -- offsets passed: the fence of the progress
    positions  TEXT   NOT NULL,
    result     TEXT   NOT NULL,
    samples    TEXT   NOT NULL, -- holds message text
    error      TEXT,
    created_at BIGINT NOT NULL,
    started_at BIGINT,
    ended_at   BIGINT
);
