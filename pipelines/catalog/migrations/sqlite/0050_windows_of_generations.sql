-- Rows of windows belong to a generation.

CREATE TABLE window_messages_of (
    generation INTEGER NOT NULL,
    chat_id    INTEGER NOT NULL,
    message_id INTEGER NOT NULL,
    edit_rank  INTEGER NOT NULL,
    raw_offset INTEGER NOT NULL,
    event_time INTEGER NOT NULL,
    class      INTEGER NOT NULL, -- 0 noise, 1 weak signal, 2 signal; -1: deleted
    score      INTEGER NOT NULL, -- millionths
    flags      INTEGER NOT NULL, -- a bit each
    terms      TEXT    NOT NULL,
    links      TEXT    NOT NULL,
    PRIMARY KEY (generation, chat_id, message_id)
) STRICT, WITHOUT ROWID;

INSERT INTO window_messages_of (generation, chat_id, message_id, edit_rank, raw_offset, event_time, class,
    score, flags, terms, links)
SELECT 1, chat_id, message_id, edit_rank, raw_offset, event_time, class, score, flags, terms, links FROM window_messages;

DROP TABLE window_messages;
ALTER TABLE window_messages_of RENAME TO window_messages;
CREATE INDEX window_messages_by_time ON window_messages (generation, event_time, chat_id, message_id);

CREATE TABLE window_minutes_of (
    generation     INTEGER NOT NULL,
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
    PRIMARY KEY (generation, minute, chat_id)
) STRICT, WITHOUT ROWID;

INSERT INTO window_minutes_of (generation, minute, chat_id, noise, weak_signal, signal, score, spam,
    service, edited, forwarded, auto_forward, time_uncertain)
SELECT 1, minute, chat_id, noise, weak_signal, signal, score, spam, service, edited, forwarded, auto_forward, time_uncertain FROM window_minutes;

DROP TABLE window_minutes;
ALTER TABLE window_minutes_of RENAME TO window_minutes;
