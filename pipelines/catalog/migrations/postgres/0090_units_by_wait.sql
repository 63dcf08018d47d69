-- When the next of the units that wait is due, without a look at each of them.
CREATE INDEX units_by_wait ON units (state, not_before);
