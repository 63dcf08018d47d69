-- Times are unix microseconds, UTC. What a replay does, its positions and its results are JSON.

CREATE TABLE replays (
    id         TEXT    NOT NULL PRIMARY KEY,
    spec       TEXT    NOT NULL,
    base_rules TEXT    NOT NULL,
    new_rules  TEXT    NOT NULL,
    state      TEXT    NOT NULL,
    processed  INTEGER NOT NULL, -- offsets passed: the fence of the progress
    positions  TEXT    NOT NULL,
    result     TEXT    NOT NULL,
    samples    TEXT    NOT NULL, -- holds message text
    error      TEXT,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    ended_at   INTEGER
) STRICT;
