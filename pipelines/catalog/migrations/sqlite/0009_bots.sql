-- Bots. Credentials are the one thing that no log can bring back.

CREATE TABLE bots (
    name       TEXT NOT NULL PRIMARY KEY,
    bot_id     INTEGER NOT NULL UNIQUE,
    token      BLOB NOT NULL, -- sealed
    secret     BLOB, -- sealed; of bots whose webhook is called
    delivery   TEXT NOT NULL,
    registered INTEGER NOT NULL, -- 0 or 1
    chats      TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
