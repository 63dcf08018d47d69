-- Story spread: how a story was told again within an hour: by how many messages, in how many chats, how fast; with the time its
-- first message was sent. Asked every quarter of an hour. For analysts who follow where a story comes from and how it runs.
--
-- A story's first message gets its record with the second one, long after it was sent. Both carry the time of the second
-- (`joined_time`), by which the records follow each other; the first is not counted. Records from before that field are left out.
--
-- Late data: the watermark is {{lateness_s}} seconds behind. What comes later than that is left out here; `GET /v1/stories/{id}`
-- counts it. A window is written once, when the watermark has passed its end.

CREATE TABLE stories (
    joined_time TIMESTAMP NOT NULL,
    first_time TIMESTAMP,
    story TEXT NOT NULL,
    message TEXT NOT NULL,
    how TEXT NOT NULL,
    WATERMARK FOR joined_time AS joined_time - INTERVAL '{{lateness_s}} seconds'
) WITH (
    connector = 'fluvio',
    endpoint = '{{endpoint}}',
    topic = '{{stories}}',
    type = 'source',
    format = 'json',
    bad_data = 'drop',
    'source.offset' = '{{offset}}'
);

CREATE TABLE story_spread (
    v BIGINT,
    story TEXT,
    window_start TIMESTAMP,
    window_end TIMESTAMP,
    messages BIGINT,
    chats BIGINT,
    first_seen TIMESTAMP,
    last_seen TIMESTAMP,
    chats_per_hour DOUBLE
) WITH (
    connector = 'fluvio',
    endpoint = '{{endpoint}}',
    topic = '{{story_spread}}',
    type = 'sink',
    format = 'json'
);

INSERT INTO story_spread
SELECT
    1,
    story,
    window.start,
    window.end,
    messages,
    chats,
    first_seen,
    last_seen,
    CAST(chats AS DOUBLE) / ({{spread_width_s}}.0 / 3600.0)
FROM (
    SELECT
        story,
        window,
        sum(n) AS messages,
        count(*) AS chats,
        min(first_time) AS first_seen,
        max(last_time) AS last_seen
    FROM (
        SELECT
            story,
            split_part(message, ':', 1) AS chat,
            hop(INTERVAL '{{spread_slide_s}} seconds', INTERVAL '{{spread_width_s}} seconds') AS window,
            count(*) AS n,
            min(first_time) AS first_time,
            max(joined_time) AS last_time
        FROM stories
        WHERE how <> 'first'
        GROUP BY story, chat, window
    )
    GROUP BY story, window
);
