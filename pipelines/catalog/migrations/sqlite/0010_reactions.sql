-- What each hand reacts to a message with, filled from the topic `reactions`; and groups that went on as supergroups, filled
-- from `messages`. Both can be dropped and filled again.

CREATE TABLE reactions (
    chat_id    INTEGER NOT NULL,
    message_id INTEGER NOT NULL,
    actor      INTEGER NOT NULL, -- 0: everybody
    at         INTEGER NOT NULL,
    raw_offset INTEGER NOT NULL,
    reactions  TEXT NOT NULL,
    PRIMARY KEY (chat_id, message_id, actor)
) STRICT, WITHOUT ROWID;

CREATE TABLE chat_links (
    from_chat INTEGER NOT NULL PRIMARY KEY,
    to_chat   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
