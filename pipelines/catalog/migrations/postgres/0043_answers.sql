-- Answers of language models, so that the same is never asked twice.

CREATE TABLE answers (
    input  TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    answer TEXT NOT NULL,
    at     BIGINT NOT NULL
);
