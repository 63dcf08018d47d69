-- Rule sets and activations: a projection of the topic `decisions`. `decision` is an offset there.

CREATE TABLE rule_sets (
    decision INTEGER NOT NULL PRIMARY KEY,
    version  TEXT    NOT NULL UNIQUE, -- name@version+hash, as added
    name     TEXT    NOT NULL,
    data     TEXT    NOT NULL, -- JSON
    source   TEXT    NOT NULL, -- TOML
    made_by  TEXT    NOT NULL,
    made_at  INTEGER NOT NULL,
    note     TEXT
) STRICT;

CREATE TABLE rule_activations (
    decision  INTEGER NOT NULL PRIMARY KEY,
    version   TEXT    NOT NULL,
    shipped   INTEGER NOT NULL, -- 1: the set that ships, which has no row in rule_sets
    positions TEXT    NOT NULL, -- JSON: first raw offset per partition
    made_by   TEXT    NOT NULL,
    made_at   INTEGER NOT NULL,
    note      TEXT
) STRICT;
