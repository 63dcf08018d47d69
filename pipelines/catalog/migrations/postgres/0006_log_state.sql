-- What a log without state of its own keeps elsewhere: positions, counters, its epoch.

CREATE TABLE log_state (
    key   TEXT  COLLATE "C" NOT NULL PRIMARY KEY,
    value BYTEA NOT NULL
);
