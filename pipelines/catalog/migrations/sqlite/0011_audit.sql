-- Who administered what. A row is written before the deed and completed after it. Times are unix microseconds, UTC.

CREATE TABLE audit (
    id         TEXT    NOT NULL PRIMARY KEY, -- sorts by time
    at         INTEGER NOT NULL,
    actor      TEXT,             -- id of the key; NULL: the server itself
    actor_name TEXT    NOT NULL,
    action     TEXT    NOT NULL,
    target     TEXT,
    address    TEXT,
    request    TEXT,
    status     INTEGER,          -- NULL: it runs, or the process ended meanwhile
    code       TEXT
) STRICT, WITHOUT ROWID;
