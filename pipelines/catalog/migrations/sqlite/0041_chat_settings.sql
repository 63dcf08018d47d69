-- Which models may read a chat, and who consented to it.

CREATE TABLE chat_settings (
    chat_id    INTEGER NOT NULL PRIMARY KEY,
    enrich     TEXT NOT NULL,
    consent_by TEXT,
    consent_at INTEGER,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
