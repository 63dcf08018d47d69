-- Bursts per chat: a chat with at least {{chat_burst_min}} messages in a quarter of an hour, {{burst_factor}} times or more the mean of
-- the {{burst_baseline}} quarters before. For analysts on duty: something happens there.
--
-- A window is nine quarters of an hour, the last of which is asked for; a quarter has the same number, modulo nine, in every
-- window it is part of, so one pass counts it and the two hours before.
--
-- Late data: the watermark is {{lateness_s}} seconds behind the messages. A message whose window is behind it is left out here;
-- the answers of `GET /v1/…`, which come from stored rows, count it where it belongs. Edits and deletions are late by nature:
-- only first versions count (`edit = 0`). A window is written once, when the watermark has passed its end.

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

CREATE TABLE bursts (
    v BIGINT,
    kind TEXT,
    subject TEXT,
    window_start TIMESTAMP,
    window_end TIMESTAMP,
    messages BIGINT,
    baseline BIGINT,
    ratio DOUBLE,
    last_seen TIMESTAMP
) WITH (
    connector = 'fluvio',
    endpoint = '{{endpoint}}',
    topic = '{{bursts}}',
    type = 'sink',
    format = 'json'
);

CREATE VIEW sent AS
SELECT chat.id AS subject, CAST(extract(epoch FROM event_time) AS BIGINT) / {{burst_width_s}} % 9 AS slot
FROM messages
WHERE edit = 0 AND kind <> 'deleted';

INSERT INTO bursts
SELECT
    1,
    'chat',
    subject,
    window.end - INTERVAL '{{burst_width_s}} seconds',
    window.end,
    messages,
    total - messages,
    CAST(messages * {{burst_baseline}} AS DOUBLE)
        / CAST(CASE WHEN total - messages > 0 THEN total - messages ELSE 1 END AS DOUBLE),
    CAST(NULL AS TIMESTAMP)
FROM (
    SELECT subject, window, total,
        CASE WHEN newest = 0 THEN n0 ELSE 0 END
        + CASE WHEN newest = 1 THEN n1 ELSE 0 END
        + CASE WHEN newest = 2 THEN n2 ELSE 0 END
        + CASE WHEN newest = 3 THEN n3 ELSE 0 END
        + CASE WHEN newest = 4 THEN n4 ELSE 0 END
        + CASE WHEN newest = 5 THEN n5 ELSE 0 END
        + CASE WHEN newest = 6 THEN n6 ELSE 0 END
        + CASE WHEN newest = 7 THEN n7 ELSE 0 END
        + CASE WHEN newest = 8 THEN n8 ELSE 0 END AS messages
    FROM (
        SELECT *, (CAST(extract(epoch FROM window.end) AS BIGINT) / {{burst_width_s}} + 8) % 9 AS newest
        FROM (
            SELECT
                subject,
                hop(INTERVAL '{{burst_width_s}} seconds', INTERVAL '{{burst_reach_s}} seconds') AS window,
                count(*) AS total,
                sum(CASE WHEN slot = 0 THEN 1 ELSE 0 END) AS n0,
                sum(CASE WHEN slot = 1 THEN 1 ELSE 0 END) AS n1,
                sum(CASE WHEN slot = 2 THEN 1 ELSE 0 END) AS n2,
                sum(CASE WHEN slot = 3 THEN 1 ELSE 0 END) AS n3,
                sum(CASE WHEN slot = 4 THEN 1 ELSE 0 END) AS n4,
                sum(CASE WHEN slot = 5 THEN 1 ELSE 0 END) AS n5,
                sum(CASE WHEN slot = 6 THEN 1 ELSE 0 END) AS n6,
                sum(CASE WHEN slot = 7 THEN 1 ELSE 0 END) AS n7,
                sum(CASE WHEN slot = 8 THEN 1 ELSE 0 END) AS n8
            FROM sent
            WHERE subject IS NOT NULL AND subject <> ''
            GROUP BY subject, window
        )
    )
)
WHERE messages >= {{chat_burst_min}} AND messages * {{burst_baseline}} >= {{burst_factor}} * (total - messages);
