-- Which models may read a chat, and who consented to it.

CREATE TABLE chat_settings (
    chat_id    BIGINT NOT NULL PRIMARY KEY,
    enrich     TEXT NOT NULL,
    consent_by TEXT,
    consent_at BIGINT,
    updated_at BIGINT NOT NULL
);
