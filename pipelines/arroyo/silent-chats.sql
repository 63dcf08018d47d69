-- Silent chats: a chat that sent at least {{silence_min}} messages in a day and none in its last six hours, told once, on the hour.
-- For operators (did we lose access, did the bot leave?) and for analysts (a channel that stops is news).
--
-- A chat is told within a day of its last message: later it is in no window any more.
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

INSERT INTO bursts
SELECT
    1,
    'silence',
    chat_id,
    window.end - INTERVAL '{{silence_after_s}} seconds',
    window.end,
    0,
    messages,
    0.0,
    last_seen
FROM (
    SELECT
        chat.id AS chat_id,
        hop(INTERVAL '{{silence_step_s}} seconds', INTERVAL '{{silence_day_s}} seconds') AS window,
        count(*) AS messages,
        max(date_trunc('minute', event_time)) AS last_seen
    FROM messages
    WHERE edit = 0 AND kind <> 'deleted'
    GROUP BY chat_id, window
)
WHERE messages >= {{silence_min}}
    AND last_seen < window.end - INTERVAL '{{silence_after_s}} seconds'
    AND last_seen >= window.end - INTERVAL '{{silence_noticed_s}} seconds';
