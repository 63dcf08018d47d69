-- Replays of `extract`: units that are to be asked for anew, and for which generation.

ALTER TABLE units ADD COLUMN again BIGINT;
CREATE INDEX units_by_generation ON units (again) WHERE again IS NOT NULL;

-- Where on `extractions` stands what a generation reads of a unit; of generation 1: what was read for all, without an offset
-- where nothing was. A unit that all read the same has no rows.
CREATE TABLE readings (
    generation BIGINT NOT NULL,
    unit       TEXT COLLATE "C" NOT NULL,
    at_offset  BIGINT,
    PRIMARY KEY (generation, unit)
);

CREATE INDEX readings_by_unit ON readings (unit, generation);

-- Whose readings count: generations as JSON, the newest first.
CREATE TABLE readings_in_force (
    one_row INTEGER NOT NULL PRIMARY KEY,
    body    TEXT    NOT NULL
);
