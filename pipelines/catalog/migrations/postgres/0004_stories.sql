-- Which messages tell the same story. Filled from the topic `stories`; can be dropped and filled again.

CREATE TABLE story_members (
    chat_id    BIGINT NOT NULL,
    message_id BIGINT NOT NULL,
    story      TEXT   COLLATE "C" NOT NULL,
    event_time BIGINT NOT NULL,
    how        TEXT   NOT NULL,
    similarity BIGINT NOT NULL, -- thousandths
    PRIMARY KEY (chat_id, message_id)
);

CREATE INDEX story_members_by_story ON story_members (story, event_time, chat_id, message_id);
