-- Where a chat's setting stands on `decisions`; NULL: it was made before they stood there.

ALTER TABLE chat_settings ADD COLUMN decided BIGINT;
