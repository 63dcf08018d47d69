-- Stories belong to a generation.

CREATE TABLE story_members_of (
    generation INTEGER NOT NULL,
    chat_id    INTEGER NOT NULL,
    message_id INTEGER NOT NULL,
    story      TEXT    NOT NULL,
    event_time INTEGER NOT NULL,
    how        TEXT    NOT NULL,
    similarity INTEGER NOT NULL, -- thousandths
    PRIMARY KEY (generation, chat_id, message_id)
) STRICT, WITHOUT ROWID;

INSERT INTO story_members_of (generation, chat_id, message_id, story, event_time, how, similarity)
SELECT 1, chat_id, message_id, story, event_time, how, similarity FROM story_members;

DROP TABLE story_members;
ALTER TABLE story_members_of RENAME TO story_members;
CREATE INDEX story_members_by_story ON story_members (generation, story, event_time, chat_id, message_id);

-- Samples of replays held message text, which would outlive an erasure. They name messages only from now on.
UPDATE replays SET samples = '{}';
