-- Bots. Credentials are the one thing that no log can bring back.

CREATE TABLE bots (
    name       TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    bot_id     BIGINT NOT NULL UNIQUE,
    token      BYTEA NOT NULL, -- sealed
    secret     BYTEA, -- sealed; of bots whose webhook is called
    delivery   TEXT NOT NULL,
    registered BIGINT NOT NULL, -- 0 or 1
    chats      TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
