-- Stories belong to a generation.

ALTER TABLE story_members ADD COLUMN generation BIGINT NOT NULL DEFAULT 1;
ALTER TABLE story_members ALTER COLUMN generation DROP DEFAULT;
ALTER TABLE story_members DROP CONSTRAINT story_members_pkey;
ALTER TABLE story_members ADD PRIMARY KEY (generation, chat_id, message_id);
DROP INDEX story_members_by_story;
CREATE INDEX story_members_by_story ON story_members (generation, story, event_time, chat_id, message_id);

-- Samples of replays held message text, which would outlive an erasure. They name messages only from now on.
UPDATE replays SET samples = '{}';
