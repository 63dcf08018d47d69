-- Tickets of streams, by hash, so that a reconnect outlives the process. Times are unix microseconds, UTC.

CREATE TABLE stream_tickets (
    hash      BYTEA  NOT NULL PRIMARY KEY,
    key_hash  BYTEA  NOT NULL,
    issued_at BIGINT NOT NULL,
    stream    BYTEA -- hash of path and query of the stream it opened
);
