-- Dead letters: a projection of the topic `dead-letters`; can be dropped and filled again. `first_record` and
-- `last_record` are offsets there.

CREATE TABLE dead_letters (
    id            TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    stage         TEXT   COLLATE "C" NOT NULL,
    topic         TEXT   COLLATE "C" NOT NULL,
    partition_id  BIGINT NOT NULL,
    origin_offset BIGINT NOT NULL,
    code          TEXT   NOT NULL,
    message       TEXT   NOT NULL,
    attempts      BIGINT NOT NULL,
    first_at      BIGINT NOT NULL,
    last_at       BIGINT NOT NULL,
    state         TEXT   NOT NULL,
    first_record  BIGINT NOT NULL,
    last_record   BIGINT NOT NULL
);

CREATE INDEX dead_letters_by_record ON dead_letters (first_record);

-- The retry a stage counted last.
ALTER TABLE stage_states ADD COLUMN last_retry TEXT;
