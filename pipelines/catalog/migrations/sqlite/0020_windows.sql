-- What of each message the questions over time windows go by, and the sums of each chat and minute. Filled from the topic
-- `messages`; can be dropped and filled again, together with the positions of the stage `windows`.

CREATE TABLE window_messages (
    chat_id    INTEGER NOT NULL,
    message_id INTEGER NOT NULL,
    edit_rank  INTEGER NOT NULL,
    raw_offset INTEGER NOT NULL,
    event_time INTEGER NOT NULL,
    class      INTEGER NOT NULL, -- 0 noise, 1 weak signal, 2 signal; -1: deleted
    score      INTEGER NOT NULL, -- millionths
    flags      INTEGER NOT NULL, -- a bit each
    terms      TEXT NOT NULL,
    links      TEXT NOT NULL,
    PRIMARY KEY (chat_id, message_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX window_messages_by_time ON window_messages (event_time, chat_id, message_id);

CREATE TABLE window_minutes (
    minute         INTEGER NOT NULL,
    chat_id        INTEGER NOT NULL,
    noise          INTEGER NOT NULL,
    weak_signal    INTEGER NOT NULL,
    signal         INTEGER NOT NULL,
    score          INTEGER NOT NULL, -- millionths
    spam           INTEGER NOT NULL,
    service        INTEGER NOT NULL,
    edited         INTEGER NOT NULL,
    forwarded      INTEGER NOT NULL,
    auto_forward   INTEGER NOT NULL,
    time_uncertain INTEGER NOT NULL,
    PRIMARY KEY (minute, chat_id)
) STRICT, WITHOUT ROWID;
