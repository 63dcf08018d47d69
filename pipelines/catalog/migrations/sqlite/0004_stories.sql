-- Which messages tell the same story. Filled from the topic `stories`; can be dropped and filled again.

CREATE TABLE story_members (
    chat_id    INTEGER NOT NULL,
    message_id INTEGER NOT NULL,
    story      TEXT    NOT NULL,
    event_time INTEGER NOT NULL,
    how        TEXT    NOT NULL,
    similarity INTEGER NOT NULL, -- thousandths
    PRIMARY KEY (chat_id, message_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX story_members_by_story ON story_members (story, event_time, chat_id, message_id);
