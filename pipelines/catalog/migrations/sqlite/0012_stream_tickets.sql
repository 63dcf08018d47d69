-- Tickets of streams, by hash, so that a reconnect outlives the process. Times are unix microseconds, UTC.

CREATE TABLE stream_tickets (
    hash      BLOB    NOT NULL PRIMARY KEY,
    key_hash  BLOB    NOT NULL,
    issued_at INTEGER NOT NULL,
    stream    BLOB -- hash of path and query of the stream it opened
) STRICT, WITHOUT ROWID;
