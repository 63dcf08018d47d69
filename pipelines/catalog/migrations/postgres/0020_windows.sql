-- What of each message the questions over time windows go by, and the sums of each chat and minute. Filled from the topic
-- `messages`; can be dropped and filled again, together with the positions of the stage `windows`.

CREATE TABLE window_messages (
    chat_id    BIGINT NOT NULL,
    message_id BIGINT NOT NULL,
    edit_rank  BIGINT NOT NULL,
    raw_offset BIGINT NOT NULL,
    event_time BIGINT NOT NULL,
    class      BIGINT NOT NULL, -- 0 noise, 1 weak signal, 2 signal; -1: deleted
    score      BIGINT NOT NULL, -- millionths
    flags      BIGINT NOT NULL, -- a bit each
    terms      TEXT NOT NULL,
    links      TEXT NOT NULL,
    PRIMARY KEY (chat_id, message_id)
);

CREATE INDEX window_messages_by_time ON window_messages (event_time, chat_id, message_id);

CREATE TABLE window_minutes (
    minute         BIGINT NOT NULL,
    chat_id        BIGINT NOT NULL,
    noise          BIGINT NOT NULL,
    weak_signal    BIGINT NOT NULL,
    signal         BIGINT NOT NULL,
    score          BIGINT NOT NULL, -- millionths
    spam           BIGINT NOT NULL,
    service        BIGINT NOT NULL,
    edited         BIGINT NOT NULL,
    forwarded      BIGINT NOT NULL,
    auto_forward   BIGINT NOT NULL,
    time_uncertain BIGINT NOT NULL,
    PRIMARY KEY (minute, chat_id)
);
