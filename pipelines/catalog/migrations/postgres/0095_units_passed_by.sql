-- A unit that is done and has a note was passed by, for that reason.
UPDATE units SET note = 'same_story'
WHERE state = 'done' AND id IN (SELECT unit FROM extractions WHERE (CAST(body AS json) ->> 'same_as') IS NOT NULL);
UPDATE units SET note = 'off'
WHERE state = 'done' AND note IS NULL AND id IN (SELECT unit FROM extractions WHERE (CAST(body AS json) -> 'extractor' ->> 'name') = 'off');
CREATE INDEX units_passed_by ON units (note) WHERE state = 'done' AND note IS NOT NULL;
