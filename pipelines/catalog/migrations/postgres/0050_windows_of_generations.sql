-- Rows of windows belong to a generation.

ALTER TABLE window_messages ADD COLUMN generation BIGINT NOT NULL DEFAULT 1;
ALTER TABLE window_messages ALTER COLUMN generation DROP DEFAULT;
ALTER TABLE window_messages DROP CONSTRAINT window_messages_pkey;
ALTER TABLE window_messages ADD PRIMARY KEY (generation, chat_id, message_id);
DROP INDEX window_messages_by_time;
CREATE INDEX window_messages_by_time ON window_messages (generation, event_time, chat_id, message_id);

ALTER TABLE window_minutes ADD COLUMN generation BIGINT NOT NULL DEFAULT 1;
ALTER TABLE window_minutes ALTER COLUMN generation DROP DEFAULT;
ALTER TABLE window_minutes DROP CONSTRAINT window_minutes_pkey;
ALTER TABLE window_minutes ADD PRIMARY KEY (generation, minute, chat_id);
