-- Screening statistics: what screening made of each chat's messages, minute by minute: how many of each class, the mean score,
-- how many with each flag. For operators who watch a rule set, and for dashboards over many chats.
--
-- Late data: the watermark is {{lateness_s}} seconds behind the messages. A message whose window is behind it is left out here;
-- the answers of `GET /v1/…`, which come from stored rows, count it where it belongs. Edits and deletions are late by nature:
-- only first versions count (`edit = 0`). A window is written once, when the watermark has passed its end.
--
-- Scores are summed in millionths: sums of integers are the same in any order.

CREATE TABLE messages (
    event_time TIMESTAMP NOT NULL,
    edit BIGINT NOT NULL,
    kind TEXT NOT NULL,
    text TEXT,
    links TEXT[],
    chat STRUCT<id TEXT>,
    screen STRUCT<class TEXT, score DOUBLE, flags TEXT[]>,
    WATERMARK FOR event_time AS event_time - INTERVAL '{{lateness_s}} seconds'
) WITH (
    connector = 'fluvio',
    endpoint = '{{endpoint}}',
    topic = '{{messages}}',
    type = 'source',
    format = 'json',
    bad_data = 'drop',
    'source.offset' = '{{offset}}'
);

CREATE TABLE screen_stats (
    v BIGINT,
    chat TEXT,
    window_start TIMESTAMP,
    window_end TIMESTAMP,
    messages BIGINT,
    noise BIGINT,
    weak_signal BIGINT,
    signal BIGINT,
    score_millionths BIGINT,
    mean_score DOUBLE,
    spam BIGINT,
    service BIGINT,
    edited BIGINT,
    forwarded BIGINT,
    auto_forward BIGINT,
    time_uncertain BIGINT
) WITH (
    connector = 'fluvio',
    endpoint = '{{endpoint}}',
    topic = '{{screen_stats}}',
    type = 'sink',
    format = 'json'
);

INSERT INTO screen_stats
SELECT
    1,
    chat_id,
    window.start,
    window.end,
    messages,
    noise,
    weak_signal,
    signal,
    score_millionths,
    CAST(score_millionths AS DOUBLE) / CAST(messages AS DOUBLE) / 1000000.0,
    spam,
    service,
    edited,
    forwarded,
    auto_forward,
    time_uncertain
FROM (
    SELECT
        chat.id AS chat_id,
        tumble(INTERVAL '{{minute_s}} seconds') AS window,
        count(*) AS messages,
        sum(CASE WHEN screen.class = 'noise' THEN 1 ELSE 0 END) AS noise,
        sum(CASE WHEN screen.class = 'weak_signal' THEN 1 ELSE 0 END) AS weak_signal,
        sum(CASE WHEN screen.class = 'signal' THEN 1 ELSE 0 END) AS signal,
        sum(CAST(round(screen.score * 1000000.0) AS BIGINT)) AS score_millionths,
        sum(CASE WHEN array_has(screen.flags, 'spam') THEN 1 ELSE 0 END) AS spam,
        sum(CASE WHEN array_has(screen.flags, 'service') THEN 1 ELSE 0 END) AS service,
        sum(CASE WHEN array_has(screen.flags, 'edited') THEN 1 ELSE 0 END) AS edited,
        sum(CASE WHEN array_has(screen.flags, 'forwarded') THEN 1 ELSE 0 END) AS forwarded,
        sum(CASE WHEN array_has(screen.flags, 'auto_forward') THEN 1 ELSE 0 END) AS auto_forward,
        sum(CASE WHEN array_has(screen.flags, 'time_uncertain') THEN 1 ELSE 0 END) AS time_uncertain
    FROM messages
    WHERE edit = 0 AND kind <> 'deleted'
    GROUP BY chat_id, window
);
