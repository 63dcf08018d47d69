-- Calls of language models, one row each, and what counts as spent on a day, with what is set aside for calls under way.

CREATE TABLE model_calls (
    id           TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    at           BIGINT NOT NULL,
    chat_id      BIGINT NOT NULL,
    unit         TEXT NOT NULL,
    provider     TEXT NOT NULL,
    prompt       TEXT NOT NULL,
    model        TEXT NOT NULL,
    input        TEXT NOT NULL,
    outcome      TEXT NOT NULL,
    tokens_in    BIGINT NOT NULL,
    tokens_out   BIGINT NOT NULL,
    micro_usd    BIGINT NOT NULL,
    is_estimated BIGINT NOT NULL, -- 0 or 1
    latency_ms   BIGINT NOT NULL
);

CREATE INDEX model_calls_by_time ON model_calls (at);

CREATE TABLE budget_days (
    day       BIGINT NOT NULL, -- since 1970, UTC
    scope     TEXT   COLLATE "C" NOT NULL, -- a chat's id; empty: all
    tokens    BIGINT NOT NULL,
    micro_usd BIGINT NOT NULL,
    PRIMARY KEY (day, scope)
);
