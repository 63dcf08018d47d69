-- What a log without state of its own keeps elsewhere: positions, counters, its epoch.

CREATE TABLE log_state (
    key   TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;
