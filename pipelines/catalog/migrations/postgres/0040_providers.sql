-- Providers of language models. Their keys are credentials: no log can bring them back.

CREATE TABLE providers (
    name       TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    kind       TEXT NOT NULL,
    url        TEXT NOT NULL,
    model      TEXT NOT NULL,
    api_key    BYTEA, -- sealed
    terms      TEXT NOT NULL, -- JSON
    created_at BIGINT NOT NULL
);
