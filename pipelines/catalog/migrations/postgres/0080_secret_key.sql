-- One sealed word: whoever opens it has the key that the secrets of this catalog are sealed with.

CREATE TABLE secret_key (
    one    BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
    sealed BYTEA  NOT NULL
);
