-- Trends: terms and links in at least {{trend_min}} messages of an hour that are no noise, and how that grew against the hour
-- before; asked every quarter of an hour. For analysts who want to know what is new before they know what to search for.
--
-- Two hours make one window of eight quarters; a quarter has the same number, modulo eight, in every window it is part of, so
-- one pass counts both hours: the last four quarters of a window are the hour asked for, the first four the hour before.
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

CREATE TABLE trends (
    v BIGINT,
    kind TEXT,
    value TEXT,
    window_start TIMESTAMP,
    window_end TIMESTAMP,
    messages BIGINT,
    previous BIGINT,
    growth DOUBLE
) WITH (
    connector = 'fluvio',
    endpoint = '{{endpoint}}',
    topic = '{{trends}}',
    type = 'sink',
    format = 'json'
);

CREATE VIEW terms AS
SELECT
    unnest(string_to_array(text_terms(text), ' ')) AS value,
    CAST(extract(epoch FROM event_time) AS BIGINT) / {{trend_slide_s}} % 8 AS slot
FROM messages
WHERE edit = 0 AND kind <> 'deleted' AND screen.class <> 'noise';

CREATE VIEW linked AS
SELECT
    unnest(links) AS value,
    CAST(extract(epoch FROM event_time) AS BIGINT) / {{trend_slide_s}} % 8 AS slot
FROM messages
WHERE edit = 0 AND kind <> 'deleted' AND screen.class <> 'noise';

INSERT INTO trends
SELECT
    1,
    'term',
    value,
    window.end - INTERVAL '{{trend_width_s}} seconds',
    window.end,
    messages,
    total - messages,
    CAST(messages - (total - messages) AS DOUBLE)
        / CAST(CASE WHEN total - messages > 0 THEN total - messages ELSE 1 END AS DOUBLE)
FROM (
    SELECT value, window, total,
        CASE WHEN (8 + 0 - oldest) % 8 >= 4 THEN n0 ELSE 0 END
        + CASE WHEN (8 + 1 - oldest) % 8 >= 4 THEN n1 ELSE 0 END
        + CASE WHEN (8 + 2 - oldest) % 8 >= 4 THEN n2 ELSE 0 END
        + CASE WHEN (8 + 3 - oldest) % 8 >= 4 THEN n3 ELSE 0 END
        + CASE WHEN (8 + 4 - oldest) % 8 >= 4 THEN n4 ELSE 0 END
        + CASE WHEN (8 + 5 - oldest) % 8 >= 4 THEN n5 ELSE 0 END
        + CASE WHEN (8 + 6 - oldest) % 8 >= 4 THEN n6 ELSE 0 END
        + CASE WHEN (8 + 7 - oldest) % 8 >= 4 THEN n7 ELSE 0 END AS messages
    FROM (
        SELECT *, CAST(extract(epoch FROM window.end) AS BIGINT) / {{trend_slide_s}} % 8 AS oldest
        FROM (
            SELECT
                value,
                hop(INTERVAL '{{trend_slide_s}} seconds', INTERVAL '{{trend_reach_s}} seconds') AS window,
                count(*) AS total,
                sum(CASE WHEN slot = 0 THEN 1 ELSE 0 END) AS n0,
                sum(CASE WHEN slot = 1 THEN 1 ELSE 0 END) AS n1,
                sum(CASE WHEN slot = 2 THEN 1 ELSE 0 END) AS n2,
                sum(CASE WHEN slot = 3 THEN 1 ELSE 0 END) AS n3,
                sum(CASE WHEN slot = 4 THEN 1 ELSE 0 END) AS n4,
                sum(CASE WHEN slot = 5 THEN 1 ELSE 0 END) AS n5,
                sum(CASE WHEN slot = 6 THEN 1 ELSE 0 END) AS n6,
                sum(CASE WHEN slot = 7 THEN 1 ELSE 0 END) AS n7
            FROM terms
            WHERE value IS NOT NULL AND value <> ''
            GROUP BY value, window
        )
    )
)
WHERE messages >= {{trend_min}};

INSERT INTO trends
SELECT
    1,
    'link',
    value,
    window.end - INTERVAL '{{trend_width_s}} seconds',
    window.end,
    messages,
    total - messages,
    CAST(messages - (total - messages) AS DOUBLE)
        / CAST(CASE WHEN total - messages > 0 THEN total - messages ELSE 1 END AS DOUBLE)
FROM (
    SELECT value, window, total,
        CASE WHEN (8 + 0 - oldest) % 8 >= 4 THEN n0 ELSE 0 END
        + CASE WHEN (8 + 1 - oldest) % 8 >= 4 THEN n1 ELSE 0 END
        + CASE WHEN (8 + 2 - oldest) % 8 >= 4 THEN n2 ELSE 0 END
        + CASE WHEN (8 + 3 - oldest) % 8 >= 4 THEN n3 ELSE 0 END
        + CASE WHEN (8 + 4 - oldest) % 8 >= 4 THEN n4 ELSE 0 END
        + CASE WHEN (8 + 5 - oldest) % 8 >= 4 THEN n5 ELSE 0 END
        + CASE WHEN (8 + 6 - oldest) % 8 >= 4 THEN n6 ELSE 0 END
        + CASE WHEN (8 + 7 - oldest) % 8 >= 4 THEN n7 ELSE 0 END AS messages
    FROM (
        SELECT *, CAST(extract(epoch FROM window.end) AS BIGINT) / {{trend_slide_s}} % 8 AS oldest
        FROM (
            SELECT
                value,
                hop(INTERVAL '{{trend_slide_s}} seconds', INTERVAL '{{trend_reach_s}} seconds') AS window,
                count(*) AS total,
                sum(CASE WHEN slot = 0 THEN 1 ELSE 0 END) AS n0,
                sum(CASE WHEN slot = 1 THEN 1 ELSE 0 END) AS n1,
                sum(CASE WHEN slot = 2 THEN 1 ELSE 0 END) AS n2,
                sum(CASE WHEN slot = 3 THEN 1 ELSE 0 END) AS n3,
                sum(CASE WHEN slot = 4 THEN 1 ELSE 0 END) AS n4,
                sum(CASE WHEN slot = 5 THEN 1 ELSE 0 END) AS n5,
                sum(CASE WHEN slot = 6 THEN 1 ELSE 0 END) AS n6,
                sum(CASE WHEN slot = 7 THEN 1 ELSE 0 END) AS n7
            FROM linked
            WHERE value IS NOT NULL AND value <> ''
            GROUP BY value, window
        )
    )
)
WHERE messages >= {{trend_min}};
