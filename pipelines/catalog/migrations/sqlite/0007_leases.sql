-- Which worker may do what, until when. Times are unix microseconds of this database's own clock.
-- A row stays when its lease ends: the token must only grow.

CREATE VIEW database_clock (now_us) AS
    SELECT CAST(unixepoch('now', 'subsec') * 1000000 AS INTEGER);

CREATE TABLE leases (
    name       TEXT    NOT NULL PRIMARY KEY,
    owner      TEXT    NOT NULL,
    token      INTEGER NOT NULL,
    since      INTEGER NOT NULL,
    expires_at INTEGER NOT NULL -- 0: given back
) STRICT, WITHOUT ROWID;

CREATE TABLE workers (
    id         TEXT    NOT NULL PRIMARY KEY,
    roles      TEXT    NOT NULL,
    since      INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
