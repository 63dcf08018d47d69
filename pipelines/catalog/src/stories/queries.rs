//! The queries on stories, in the common subset of SQLite and Postgres: see [`crate::queries`].
//!
//! Lists of any length come as one text of fixed-width fields and their number; a recursive `WITH` counts, and `substr`
//! cuts. Both databases do this alike, and the statement stays the same whatever the length.

use std::sync::LazyLock;

/// Characters of a field: the longest 64-bit integer with its sign.
pub(super) const FIELD: usize = 20;

/// Columns of `story_members`.
pub(super) const COLUMNS: usize = 7;

/// Rows of [`INSERT_MEMBERS`]. Each statement is synced to disk, so they are bundled.
pub(super) const ROWS_PER_INSERT: usize = 64;

/// A message keeps the story it has.
pub(super) static INSERT_MEMBERS: LazyLock<String> = LazyLock::new(|| {
    let rows = (0..ROWS_PER_INSERT).map(|row| {
        let values = (1..=COLUMNS).map(|column| format!("${}", row * COLUMNS + column));
        format!("({})", values.collect::<Vec<_>>().join(", "))
    });
    format!(
        "INSERT INTO story_members (generation, chat_id, message_id, story, event_time, how, similarity)
        VALUES {}
        ON CONFLICT (generation, chat_id, message_id) DO NOTHING",
        rows.collect::<Vec<_>>().join(", ")
    )
});

/// `$1`: the generation. A few thousand rows at a time.
pub(super) const REMOVE_SOME: &str = "
    DELETE FROM story_members WHERE generation = $1 AND (chat_id, message_id) IN (
        SELECT chat_id, message_id FROM story_members WHERE generation = $1 LIMIT 5000)";

/// `$1` and `$2`: chat and message ids in turn, and how many messages; `$3` and `$4`: chats, and how many, or `NULL`;
/// `$5`: the generation. A cross join is where SQLite keeps the order: were the table the outer loop, all that is asked for
/// would be cut out of `$1` anew for each of its rows.
pub(super) const STORIES_OF: &str = "
    WITH RECURSIVE
    ask (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM ask WHERE i + 1 < $2),
    asked (chat_id, message_id) AS (
        SELECT CAST(substr($1, i * 40 + 1, 20) AS BIGINT), CAST(substr($1, i * 40 + 21, 20) AS BIGINT) FROM ask),
    allow (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM allow WHERE i + 1 < $4),
    allowed (chat_id) AS (SELECT CAST(substr($3, i * 20 + 1, 20) AS BIGINT) FROM allow),
    mine AS (
        SELECT DISTINCT m.chat_id, m.message_id, m.story
        FROM asked CROSS JOIN story_members m
        WHERE m.generation = $5 AND m.chat_id = asked.chat_id AND m.message_id = asked.message_id),
    told AS (
        SELECT story, chat_id, message_id,
            ROW_NUMBER() OVER (PARTITION BY story ORDER BY event_time, chat_id, message_id) AS place,
            COUNT(*) OVER (PARTITION BY story) AS size
        FROM story_members
        WHERE generation = $5 AND story IN (SELECT story FROM mine)
            AND ($3 IS NULL OR chat_id IN (SELECT chat_id FROM allowed)))
    SELECT mine.chat_id, mine.message_id, mine.story, told.chat_id, told.message_id, told.size
    FROM mine JOIN told ON told.story = mine.story
    WHERE told.place = 1 AND told.size > 1";

/// `$1`: the story; `$2` and `$3`: chats, and how many, or `NULL`; `$4` to `$6`: the place after which to go on, or
/// `NULL`; `$7`: how many; `$8`: the generation.
pub(super) const STORY_MEMBERS: &str = "
    WITH RECURSIVE
    allow (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM allow WHERE i + 1 < $3),
    allowed (chat_id) AS (SELECT CAST(substr($2, i * 20 + 1, 20) AS BIGINT) FROM allow)
    SELECT chat_id, message_id, event_time, how, similarity FROM story_members
    WHERE generation = $8 AND story = $1
        AND ($2 IS NULL OR chat_id IN (SELECT chat_id FROM allowed))
        AND ($4 IS NULL OR (event_time, chat_id, message_id) > ($4, $5, $6))
    ORDER BY event_time, chat_id, message_id LIMIT $7";
