-- What each hand reacts to a message with, filled from the topic `reactions`; and groups that went on as supergroups, filled
-- from `messages`. Both can be dropped and filled again.

CREATE TABLE reactions (
    chat_id    BIGINT NOT NULL,
    message_id BIGINT NOT NULL,
    actor      BIGINT NOT NULL, -- 0: everybody
    at         BIGINT NOT NULL,
    raw_offset BIGINT NOT NULL,
    reactions  TEXT NOT NULL,
    PRIMARY KEY (chat_id, message_id, actor)
);

CREATE TABLE chat_links (
    from_chat BIGINT NOT NULL PRIMARY KEY,
    to_chat   BIGINT NOT NULL
);
