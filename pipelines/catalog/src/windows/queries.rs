//! The queries on the rows of windows, in the common subset of SQLite and Postgres: see [`crate::queries`] and, for lists
//! as one text, [`crate::stories`].

use std::sync::LazyLock;

use crate::bundle::{self, Bundle, CHUNKS};

const MESSAGE: [&str; 12] = [
    "generation",
    "chat_id",
    "message_id",
    "edit_rank",
    "raw_offset",
    "event_time",
    "class",
    "score",
    "flags",
    "terms",
    "links",
    "words",
];
const MINUTE: [&str; 13] = [
    "generation",
    "minute",
    "chat_id",
    "noise",
    "weak_signal",
    "signal",
    "score",
    "spam",
    "service",
    "edited",
    "forwarded",
    "auto_forward",
    "time_uncertain",
];

/// What replaces a stored row takes its place.
pub(super) static PUT_MESSAGES: LazyLock<Bundle> =
    LazyLock::new(|| bundle::replaces("window_messages", &MESSAGE, &MESSAGE[..3]));

/// What changes is added to what is there.
pub(super) static ADD_MINUTES: LazyLock<Bundle> = LazyLock::new(|| {
    let added = MINUTE[3..]
        .iter()
        .map(|c| format!("{c} = window_minutes.{c} + excluded.{c}"));
    let added: Vec<String> = added.collect();
    let on_conflict = format!(
        "ON CONFLICT (generation, minute, chat_id) DO UPDATE SET {}",
        added.join(", ")
    );
    bundle::inserts("window_minutes", &MINUTE, &on_conflict)
});

/// Chat and message ids in turn, then the generation: in the order of their numbers, which SQLite binds fastest.
pub(super) static MESSAGES_OF: LazyLock<[String; 3]> = LazyLock::new(|| {
    CHUNKS.map(|n| {
        let keys = (0..n).map(|key| format!("(${}, ${})", 2 * key + 1, 2 * key + 2));
        format!(
            "
    WITH asked (chat_id, message_id) AS (VALUES {})
    SELECT m.chat_id, m.message_id, m.edit_rank, m.raw_offset, m.event_time, m.class, m.score, m.flags, m.terms, m.links,
        m.words
    FROM asked JOIN window_messages m ON m.chat_id = asked.chat_id AND m.message_id = asked.message_id
    WHERE m.generation = ${}",
            keys.collect::<Vec<_>>().join(", "),
            2 * n + 1
        )
    })
});

/// `$1` and `$2`: chats, and how many; `$3`: the generation.
pub(super) const NEWEST_OF: &str = "
    WITH RECURSIVE
    ask (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM ask WHERE i + 1 < $2),
    asked (chat_id) AS (SELECT CAST(substr($1, i * 20 + 1, 20) AS BIGINT) FROM ask),
    found (chat_id, message_id) AS (
        SELECT a.chat_id, (SELECT MAX(m.message_id) FROM window_messages m WHERE m.generation = $3 AND m.chat_id = a.chat_id)
        FROM asked a)
    SELECT chat_id, message_id FROM found WHERE message_id IS NOT NULL";

/// `$1` and `$2`: chats, and how many, or `NULL`; `$3` and `$4`: from and before which time, always given, so that the
/// index is gone into there and left there; `$5`: the least class;
/// `$6` to `$8`: the place after which to go on, or `NULL`; `$9`: how many; `$10`: the generation.
pub(super) const MESSAGES_BETWEEN: &str = "
    WITH RECURSIVE
    allow (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM allow WHERE i + 1 < $2),
    allowed (chat_id) AS (SELECT CAST(substr($1, i * 20 + 1, 20) AS BIGINT) FROM allow)
    SELECT chat_id, message_id, edit_rank, raw_offset, event_time, class, score, flags, terms, links, words
    FROM window_messages
    WHERE generation = $10 AND class >= $5
        AND ($1 IS NULL OR chat_id IN (SELECT chat_id FROM allowed))
        AND event_time >= $3 AND event_time < $4
        AND ($6 IS NULL OR (event_time, chat_id, message_id) > ($6, $7, $8))
    ORDER BY event_time, chat_id, message_id LIMIT $9";

const SUMS: &str = "
    CAST(SUM(noise) AS BIGINT), CAST(SUM(weak_signal) AS BIGINT), CAST(SUM(signal) AS BIGINT), CAST(SUM(score) AS BIGINT),
    CAST(SUM(spam) AS BIGINT), CAST(SUM(service) AS BIGINT), CAST(SUM(edited) AS BIGINT), CAST(SUM(forwarded) AS BIGINT),
    CAST(SUM(auto_forward) AS BIGINT), CAST(SUM(time_uncertain) AS BIGINT), MAX(minute)";

/// `$1` and `$2`: chats, and how many, or `NULL`; `$3` and `$4`: from and before which minute, always
/// given; `$5`: minutes per sum; `$6`: the generation.
/// The number of a sum is rounded down before 1970 too.
fn sums(chat: &str, group: &str) -> String {
    format!(
        "
    WITH RECURSIVE
    allow (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM allow WHERE i + 1 < $2),
    allowed (chat_id) AS (SELECT CAST(substr($1, i * 20 + 1, 20) AS BIGINT) FROM allow),
    shown AS (
        SELECT (minute - ((minute % $5) + $5) % $5) / $5 AS number, window_minutes.* FROM window_minutes
        WHERE generation = $6 AND noise + weak_signal + signal > 0
            AND ($1 IS NULL OR chat_id IN (SELECT chat_id FROM allowed))
            AND minute >= $3 AND minute < $4)
    SELECT {chat}, number, {SUMS} FROM shown GROUP BY {group} ORDER BY {group}"
    )
}

/// `$1`: the generation.
pub(super) const REMOVE: [&str; 2] = [
    "DELETE FROM window_messages WHERE generation = $1",
    "DELETE FROM window_minutes WHERE generation = $1",
];

pub(super) static SUMS_OF_ALL: LazyLock<String> =
    LazyLock::new(|| sums("CAST(NULL AS BIGINT)", "number"));
pub(super) static SUMS_PER_CHAT: LazyLock<String> =
    LazyLock::new(|| sums("chat_id", "chat_id, number"));
