-- What is known: a projection of the topics `units`, `extractions` and `decisions`; can be dropped and filled again. Times
-- are unix microseconds, UTC. `body` is JSON.

CREATE TABLE units (
    id            TEXT    NOT NULL PRIMARY KEY,
    chat          TEXT NOT NULL,
    members       TEXT NOT NULL,
    class_rank    INTEGER NOT NULL,
    newest        INTEGER NOT NULL,
    topic         TEXT    NOT NULL,
    partition_id  INTEGER NOT NULL,
    origin_offset INTEGER NOT NULL,
    revision      INTEGER NOT NULL,
    state         TEXT NOT NULL,
    attempts      INTEGER NOT NULL,
    not_before    INTEGER,
    note          TEXT
) STRICT;

CREATE INDEX units_by_urgency ON units (state, class_rank, newest, id);
CREATE INDEX units_by_record ON units (partition_id, origin_offset);

CREATE TABLE unit_members (
    chat_id    INTEGER NOT NULL,
    message_id INTEGER NOT NULL,
    unit       TEXT    NOT NULL,
    PRIMARY KEY (chat_id, message_id)
) STRICT;

CREATE INDEX unit_members_by_unit ON unit_members (unit);

CREATE TABLE extractions (
    unit TEXT    NOT NULL PRIMARY KEY,
    body TEXT NOT NULL
) STRICT;

CREATE TABLE subjects (
    id          TEXT    NOT NULL PRIMARY KEY,
    name_key    TEXT    NOT NULL,
    name        TEXT NOT NULL,
    sort        TEXT    NOT NULL,
    merged_into TEXT   
) STRICT;

CREATE TABLE atoms (
    id       TEXT    NOT NULL PRIMARY KEY,
    kind     TEXT NOT NULL,
    status   TEXT NOT NULL,
    subject  TEXT   ,
    first_at INTEGER NOT NULL,
    last_at  INTEGER NOT NULL,
    is_shown INTEGER NOT NULL, -- neither rejected nor retracted nor merged
    is_merged INTEGER NOT NULL,
    body     TEXT NOT NULL -- holds quotes of messages
) STRICT;

CREATE INDEX atoms_by_time ON atoms (first_at, id);
CREATE INDEX atoms_by_subject ON atoms (subject, first_at);

CREATE TABLE atom_units (
    atom TEXT    NOT NULL,
    unit TEXT    NOT NULL,
    PRIMARY KEY (atom, unit)
) STRICT;

CREATE INDEX atom_units_by_unit ON atom_units (unit);

CREATE TABLE atom_messages (
    atom        TEXT    NOT NULL,
    chat_id     INTEGER NOT NULL,
    message_id  INTEGER NOT NULL,
    is_evidence INTEGER NOT NULL, -- 0: a further message that tells the same story
    PRIMARY KEY (atom, chat_id, message_id)
) STRICT;

CREATE INDEX atom_messages_by_message ON atom_messages (chat_id, message_id);

CREATE TABLE atom_versions (
    atom    TEXT    NOT NULL,
    version INTEGER NOT NULL,
    body    TEXT NOT NULL,
    PRIMARY KEY (atom, version)
) STRICT;

-- Versions on their way to the topic `atoms`.
CREATE TABLE atom_outbox (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    body  TEXT NOT NULL
) STRICT;

-- Reviews of atoms that are not there yet, by their offset on `decisions`.
CREATE TABLE waiting_reviews (
    decided INTEGER NOT NULL PRIMARY KEY,
    atom    TEXT    NOT NULL,
    body    TEXT NOT NULL
) STRICT;

CREATE INDEX waiting_reviews_by_atom ON waiting_reviews (atom);

CREATE TABLE approval_rules (
    one_row INTEGER NOT NULL PRIMARY KEY,
    body TEXT NOT NULL
) STRICT;
