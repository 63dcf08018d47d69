//! The queries on what is known, in the common subset of SQLite and Postgres: see [`crate::queries`]; lists of keys and chats
//! come as in [`crate::stories`].

use std::sync::LazyLock;

use super::in_list;
use crate::bundle::{self, Bundle};

const UNIT: [&str; 14] = [
    "id",
    "chat",
    "members",
    "class_rank",
    "newest",
    "topic",
    "partition_id",
    "origin_offset",
    "revision",
    "state",
    "attempts",
    "not_before",
    "note",
    "again",
];

pub(super) static PUT_UNITS: LazyLock<Bundle> =
    LazyLock::new(|| bundle::replaces("units", &UNIT, &["id"]));

pub(super) static DROP_MEMBERS: LazyLock<String> =
    LazyLock::new(|| in_list("DELETE FROM unit_members WHERE unit"));

pub(super) static PUT_MEMBERS: LazyLock<Bundle> = LazyLock::new(|| {
    let columns = ["chat_id", "message_id", "unit"];
    bundle::replaces("unit_members", &columns, &columns[..2])
});

macro_rules! unit_columns {
    () => {
        "SELECT id, chat, members, class_rank, newest, topic, partition_id, origin_offset, revision, state, attempts,
            not_before, note, again FROM units "
    };
}

pub(super) static UNITS: LazyLock<String> =
    LazyLock::new(|| in_list(concat!(unit_columns!(), "WHERE id")));

pub(super) const UNIT_AT: &str = concat!(
    unit_columns!(),
    "WHERE partition_id = $1 AND origin_offset = $2"
);

pub(super) const DUE_UNITS: &str = concat!(
    unit_columns!(),
    "WHERE state = 'due' AND (not_before IS NULL OR not_before <= $1)
    ORDER BY class_rank DESC, newest DESC, id DESC LIMIT $2"
);

pub(super) const NEXT_DUE: &str = "
    SELECT not_before FROM units WHERE state = 'due' AND not_before > $1 ORDER BY not_before LIMIT 1";

/// No row if the unit changed meanwhile.
pub(super) const SETTLE_UNIT: &str = "
    UPDATE units SET state = $3, attempts = $4, not_before = $5, note = $6,
        again = CASE WHEN $3 = 'due' THEN again END
    WHERE id = $1 AND revision = $2";

pub(super) const READ_AGAIN: &str = "
    UPDATE units SET state = 'due', revision = revision + 1, attempts = 0, not_before = NULL, note = NULL, again = $2
    WHERE id = $1 AND (again IS NULL OR again <> $2)";

pub(super) const N_READ_AGAIN: &str = "SELECT COUNT(*) FROM units WHERE again = $1";

pub(super) const END_READING: &str = "UPDATE units SET again = NULL WHERE again = $1";

pub(super) const WAKE_UNITS: &str = "
    UPDATE units SET not_before = NULL
    WHERE state = 'due' AND not_before IS NOT NULL
        AND ($1 IS NULL OR id IN (SELECT unit FROM unit_members WHERE chat_id = $1))";

pub(super) const UNIT_COUNTS: &str = "SELECT state, COUNT(*) FROM units GROUP BY state";

pub(super) const PASSED_BY: &str = "
    SELECT note, COUNT(*) FROM units WHERE state = 'done' AND note IS NOT NULL GROUP BY note";

/// `$1` and `$2`: chat and message ids in turn, and how many messages.
pub(super) const UNITS_OF: &str = "
    WITH RECURSIVE
    ask (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM ask WHERE i + 1 < $2),
    asked (chat_id, message_id) AS (
        SELECT CAST(substr($1, i * 40 + 1, 20) AS BIGINT), CAST(substr($1, i * 40 + 21, 20) AS BIGINT) FROM ask)
    SELECT DISTINCT m.chat_id, m.message_id, m.unit
    FROM asked CROSS JOIN unit_members m WHERE m.chat_id = asked.chat_id AND m.message_id = asked.message_id";

pub(super) static PUT_EXTRACTIONS: LazyLock<Bundle> =
    LazyLock::new(|| bundle::replaces("extractions", &["unit", "body"], &["unit"]));

pub(super) static EXTRACTIONS: LazyLock<String> =
    LazyLock::new(|| in_list("SELECT body FROM extractions WHERE unit"));

pub(super) const DROP_EXTRACTION: &str = "DELETE FROM extractions WHERE unit = $1";

pub(super) const PUT_READING: &str = "
    INSERT INTO readings (generation, unit, at_offset) VALUES ($1, $2, $3)
    ON CONFLICT (generation, unit) DO UPDATE SET at_offset = excluded.at_offset";

pub(super) const DROP_READINGS: &str = "DELETE FROM readings WHERE unit = $1";

pub(super) static READINGS: LazyLock<String> =
    LazyLock::new(|| in_list("SELECT generation, unit, at_offset FROM readings WHERE unit"));

pub(super) const UNITS_READ_BY: &str = "SELECT unit FROM readings WHERE generation = $1";

pub(super) const REMOVE_READINGS: &str = "DELETE FROM readings WHERE generation = $1";

pub(super) const PUT_IN_FORCE: &str = "
    INSERT INTO readings_in_force (one_row, body) VALUES (1, $1)
    ON CONFLICT (one_row) DO UPDATE SET body = excluded.body";

pub(super) const IN_FORCE: &str = "SELECT body FROM readings_in_force WHERE one_row = 1";

pub(super) const PUT_SUBJECT: &str = "
    INSERT INTO subjects (id, name_key, name, sort, merged_into) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (id) DO UPDATE SET name = excluded.name, sort = excluded.sort, merged_into = excluded.merged_into";

pub(super) static SUBJECTS: LazyLock<String> =
    LazyLock::new(|| in_list("SELECT id, name_key, name, merged_into FROM subjects WHERE id"));

const ATOM: [&str; 9] = [
    "id",
    "kind",
    "status",
    "subject",
    "first_at",
    "last_at",
    "is_shown",
    "is_merged",
    "body",
];

pub(super) static PUT_ATOMS: LazyLock<Bundle> =
    LazyLock::new(|| bundle::replaces("atoms", &ATOM, &["id"]));

pub(super) static DROP_ATOM_UNITS: LazyLock<String> =
    LazyLock::new(|| in_list("DELETE FROM atom_units WHERE atom"));

pub(super) static DROP_ATOM_MESSAGES: LazyLock<String> =
    LazyLock::new(|| in_list("DELETE FROM atom_messages WHERE atom"));

pub(super) static PUT_ATOM_UNITS: LazyLock<Bundle> = LazyLock::new(|| {
    let on_conflict = "ON CONFLICT (atom, unit) DO NOTHING";
    bundle::inserts("atom_units", &["atom", "unit"], on_conflict)
});

/// Evidence comes before further sources, so the first row of a message stays.
pub(super) static PUT_ATOM_MESSAGES: LazyLock<Bundle> = LazyLock::new(|| {
    let columns = ["atom", "chat_id", "message_id", "is_evidence"];
    let on_conflict = "ON CONFLICT (atom, chat_id, message_id) DO NOTHING";
    bundle::inserts("atom_messages", &columns, on_conflict)
});

pub(super) static PUT_VERSIONS: LazyLock<Bundle> = LazyLock::new(|| {
    let columns = ["atom", "version", "body"];
    bundle::replaces("atom_versions", &columns, &columns[..2])
});

pub(super) const VERSIONS: &str = "SELECT body FROM atom_versions WHERE atom = $1 ORDER BY version";

pub(super) static PUT_OUTBOX: LazyLock<Bundle> =
    LazyLock::new(|| bundle::inserts("atom_outbox", &["body"], ""));

pub(super) const OUTBOX: &str = "SELECT place, body FROM atom_outbox ORDER BY place LIMIT $1";

pub(super) const CLEAR_OUTBOX: &str = "DELETE FROM atom_outbox WHERE place <= $1";

pub(super) const PUT_WAITING: &str = "
    INSERT INTO waiting_reviews (decided, atom, body) VALUES ($1, $2, $3)
    ON CONFLICT (decided) DO UPDATE SET atom = excluded.atom, body = excluded.body";

pub(super) const DROP_WAITING: &str = "DELETE FROM waiting_reviews WHERE decided = $1";

pub(super) static WAITING: LazyLock<String> =
    LazyLock::new(|| in_list("SELECT body FROM waiting_reviews WHERE atom"));

pub(super) const PUT_RULES: &str = "
    INSERT INTO approval_rules (one_row, body) VALUES (1, $1)
    ON CONFLICT (one_row) DO UPDATE SET body = excluded.body";

pub(super) const RULES: &str = "SELECT body FROM approval_rules WHERE one_row = 1";

pub(super) static ATOMS_BY_ID: LazyLock<String> =
    LazyLock::new(|| in_list("SELECT body FROM atoms WHERE id"));

pub(super) static ATOMS_OF_UNITS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT body FROM atoms WHERE id IN ({})",
        in_list("SELECT atom FROM atom_units WHERE unit")
    )
});

pub(super) const ATOMS_ON: &str = "SELECT body FROM atoms WHERE subject = $1 ORDER BY id";

/// Narrowed where only one kind, state, subject or chat is asked for; the rest of a filter is applied to what comes.
pub(super) const ATOMS: &str = "
    SELECT body FROM atoms
    WHERE ($1 IS NULL OR (first_at, id) < ($1, $2)) AND is_merged = 0
        AND ($3 IS NULL OR kind = $3) AND ($4 IS NULL OR status = $4) AND ($5 IS NULL OR subject = $5)
        AND ($6 IS NULL OR id IN (SELECT atom FROM atom_messages WHERE chat_id = $6) OR status = 'retracted')
        AND ($8 = 0 OR is_shown = 1)
    ORDER BY first_at DESC, id DESC LIMIT $7";

/// `$1` and `$2`: chats, and how many, or `NULL`; `$3` and `$4`: the place after which to go on, or `NULL`; `$5`: how many.
pub(super) const SUBJECTS_WITH_ATOMS: &str = "
    WITH RECURSIVE
    allow (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM allow WHERE i + 1 < $2),
    allowed (chat_id) AS (SELECT CAST(substr($1, i * 20 + 1, 20) AS BIGINT) FROM allow),
    shown AS (
        SELECT subject, COUNT(*) AS n_atoms, MAX(last_at) AS last_at FROM atoms
        WHERE is_shown = 1 AND subject IS NOT NULL AND ($1 IS NULL OR NOT EXISTS (
            SELECT 1 FROM atom_messages e
            WHERE e.atom = atoms.id AND e.is_evidence = 1 AND e.chat_id NOT IN (SELECT chat_id FROM allowed)))
        GROUP BY subject)
    SELECT s.id, s.name, shown.n_atoms, shown.last_at
    FROM shown JOIN subjects s ON s.id = shown.subject
    WHERE $3 IS NULL OR (s.sort, s.id) > ($3, $4)
    ORDER BY s.sort, s.id LIMIT $5";

/// `$1` and `$2`: chat and message ids in turn, and how many messages; `$3` and `$4`: chats, and how many, or `NULL`.
pub(super) const SUBJECTS_OF: &str = "
    WITH RECURSIVE
    ask (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM ask WHERE i + 1 < $2),
    asked (chat_id, message_id) AS (
        SELECT CAST(substr($1, i * 40 + 1, 20) AS BIGINT), CAST(substr($1, i * 40 + 21, 20) AS BIGINT) FROM ask),
    allow (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM allow WHERE i + 1 < $4),
    allowed (chat_id) AS (SELECT CAST(substr($3, i * 20 + 1, 20) AS BIGINT) FROM allow)
    SELECT DISTINCT m.chat_id, m.message_id, s.id, s.name
    FROM asked
        CROSS JOIN atom_messages m
        JOIN atoms a ON a.id = m.atom AND a.is_shown = 1
        JOIN subjects s ON s.id = a.subject
    WHERE m.chat_id = asked.chat_id AND m.message_id = asked.message_id AND ($3 IS NULL OR NOT EXISTS (
        SELECT 1 FROM atom_messages e
        WHERE e.atom = a.id AND e.is_evidence = 1 AND e.chat_id NOT IN (SELECT chat_id FROM allowed)))
    ORDER BY m.chat_id, m.message_id, s.id";

/// `$1` and `$2`: chats, and how many, or `NULL`; `$3`: the subject; `$4`: how many.
pub(super) const MESSAGES_ON: &str = "
    WITH RECURSIVE
    allow (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM allow WHERE i + 1 < $2),
    allowed (chat_id) AS (SELECT CAST(substr($1, i * 20 + 1, 20) AS BIGINT) FROM allow)
    SELECT m.chat_id, m.message_id, a.first_at
    FROM atoms a JOIN atom_messages m ON m.atom = a.id
    WHERE a.subject = $3 AND a.is_shown = 1 AND ($1 IS NULL OR (m.chat_id IN (SELECT chat_id FROM allowed) AND NOT EXISTS (
        SELECT 1 FROM atom_messages e
        WHERE e.atom = a.id AND e.is_evidence = 1 AND e.chat_id NOT IN (SELECT chat_id FROM allowed))))
    ORDER BY a.first_at DESC, m.chat_id, m.message_id LIMIT $4";
