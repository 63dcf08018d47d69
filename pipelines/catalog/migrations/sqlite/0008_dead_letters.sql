-- Dead letters: a projection of the topic `dead-letters`; can be dropped and filled again. `first_record` and
-- `last_record` are offsets there.

CREATE TABLE dead_letters (
    id            TEXT    NOT NULL PRIMARY KEY,
    stage         TEXT    NOT NULL,
    topic         TEXT    NOT NULL,
    partition_id  INTEGER NOT NULL,
    origin_offset INTEGER NOT NULL,
    code          TEXT    NOT NULL,
    message       TEXT    NOT NULL,
    attempts      INTEGER NOT NULL,
    first_at      INTEGER NOT NULL,
    last_at       INTEGER NOT NULL,
    state         TEXT    NOT NULL,
    first_record  INTEGER NOT NULL,
    last_record   INTEGER NOT NULL
) STRICT;

CREATE INDEX dead_letters_by_record ON dead_letters (first_record);

-- The retry a stage counted last.
ALTER TABLE stage_states ADD COLUMN last_retry TEXT;
