-- Who asks a language model about an input just now, so that nobody else does; and what is forgotten by age.

CREATE TABLE asking (
    input      TEXT NOT NULL PRIMARY KEY,
    asker      TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX answers_by_time ON answers (at);
