-- What is known: a projection of the topics `units`, `extractions` and `decisions`; can be dropped and filled again. Times
-- are unix microseconds, UTC. `body` is JSON.

CREATE TABLE units (
    id            TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    chat          TEXT NOT NULL,
    members       TEXT NOT NULL,
    class_rank    BIGINT NOT NULL,
    newest        BIGINT NOT NULL,
    topic         TEXT   COLLATE "C" NOT NULL,
    partition_id  BIGINT NOT NULL,
    origin_offset BIGINT NOT NULL,
    revision      BIGINT NOT NULL,
    state         TEXT NOT NULL,
    attempts      BIGINT NOT NULL,
    not_before    BIGINT,
    note          TEXT
);

CREATE INDEX units_by_urgency ON units (state, class_rank, newest, id);
CREATE INDEX units_by_record ON units (partition_id, origin_offset);

CREATE TABLE unit_members (
    chat_id    BIGINT NOT NULL,
    message_id BIGINT NOT NULL,
    unit       TEXT   COLLATE "C" NOT NULL,
    PRIMARY KEY (chat_id, message_id)
);

CREATE INDEX unit_members_by_unit ON unit_members (unit);

CREATE TABLE extractions (
    unit TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    body TEXT NOT NULL
);

CREATE TABLE subjects (
    id          TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    name_key    TEXT   COLLATE "C" NOT NULL,
    name        TEXT NOT NULL,
    sort        TEXT   COLLATE "C" NOT NULL,
    merged_into TEXT   COLLATE "C"
);

CREATE TABLE atoms (
    id       TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    kind     TEXT NOT NULL,
    status   TEXT NOT NULL,
    subject  TEXT   COLLATE "C",
    first_at BIGINT NOT NULL,
    last_at  BIGINT NOT NULL,
    is_shown BIGINT NOT NULL, -- neither rejected nor retracted nor merged
    is_merged BIGINT NOT NULL,
    body     TEXT NOT NULL -- holds quotes of messages
);

CREATE INDEX atoms_by_time ON atoms (first_at, id);
CREATE INDEX atoms_by_subject ON atoms (subject, first_at);

CREATE TABLE atom_units (
    atom TEXT   COLLATE "C" NOT NULL,
    unit TEXT   COLLATE "C" NOT NULL,
    PRIMARY KEY (atom, unit)
);

CREATE INDEX atom_units_by_unit ON atom_units (unit);

CREATE TABLE atom_messages (
    atom        TEXT   COLLATE "C" NOT NULL,
    chat_id     BIGINT NOT NULL,
    message_id  BIGINT NOT NULL,
    is_evidence BIGINT NOT NULL, -- 0: a further message that tells the same story
    PRIMARY KEY (atom, chat_id, message_id)
);

CREATE INDEX atom_messages_by_message ON atom_messages (chat_id, message_id);

CREATE TABLE atom_versions (
    atom    TEXT   COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    body    TEXT NOT NULL,
    PRIMARY KEY (atom, version)
);

-- Versions on their way to the topic `atoms`.
CREATE TABLE atom_outbox (
    place BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    body  TEXT NOT NULL
);

-- Reviews of atoms that are not there yet, by their offset on `decisions`.
CREATE TABLE waiting_reviews (
    decided BIGINT NOT NULL PRIMARY KEY,
    atom    TEXT   COLLATE "C" NOT NULL,
    body    TEXT NOT NULL
);

CREATE INDEX waiting_reviews_by_atom ON waiting_reviews (atom);

CREATE TABLE approval_rules (
    one_row BIGINT NOT NULL PRIMARY KEY,
    body TEXT NOT NULL
);
