-- Calls of language models, one row each, and what counts as spent on a day, with what is set aside for calls under way.

CREATE TABLE model_calls (
    id           TEXT NOT NULL PRIMARY KEY,
    at           INTEGER NOT NULL,
    chat_id      INTEGER NOT NULL,
    unit         TEXT NOT NULL,
    provider     TEXT NOT NULL,
    prompt       TEXT NOT NULL,
    model        TEXT NOT NULL,
    input        TEXT NOT NULL,
    outcome      TEXT NOT NULL,
    tokens_in    INTEGER NOT NULL,
    tokens_out   INTEGER NOT NULL,
    micro_usd    INTEGER NOT NULL,
    is_estimated INTEGER NOT NULL, -- 0 or 1
    latency_ms   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX model_calls_by_time ON model_calls (at);

CREATE TABLE budget_days (
    day       INTEGER NOT NULL, -- since 1970, UTC
    scope     TEXT NOT NULL, -- a chat's id; empty: all
    tokens    INTEGER NOT NULL,
    micro_usd INTEGER NOT NULL,
    PRIMARY KEY (day, scope)
) STRICT, WITHOUT ROWID;
