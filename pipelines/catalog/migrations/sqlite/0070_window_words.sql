-- What a person is shown of a term: the words the terms of a message stand for, in their order, a space between them. Rows
-- from before have none, and are shown by their terms.

ALTER TABLE window_messages ADD COLUMN words TEXT NOT NULL DEFAULT '';
