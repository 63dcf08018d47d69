-- Who asks a language model about an input just now, so that nobody else does; and what is forgotten by age.

CREATE TABLE asking (
    input      TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    asker      TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE INDEX answers_by_time ON answers (at);
