-- Which worker may do what, until when. Times are unix microseconds of this database's own clock.
-- A row stays when its lease ends: the token must only grow.

CREATE VIEW database_clock (now_us) AS
    SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT);

CREATE TABLE leases (
    name       TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    owner      TEXT   NOT NULL,
    token      BIGINT NOT NULL,
    since      BIGINT NOT NULL,
    expires_at BIGINT NOT NULL -- 0: given back
);

CREATE TABLE workers (
    id         TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    roles      TEXT   NOT NULL,
    since      BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
