-- Units that a replay wants asked for anew, by the replay's id.

ALTER TABLE units ADD COLUMN again TEXT;
CREATE INDEX units_by_replay ON units (again) WHERE again IS NOT NULL;
