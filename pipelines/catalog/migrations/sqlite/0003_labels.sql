-- One row per owner and message version; one that says nothing was taken back, and stays so that nothing older returns.

CREATE TABLE labels (
    chat_id    INTEGER NOT NULL,
    message_id INTEGER NOT NULL,
    edit       INTEGER NOT NULL,
    owner      TEXT    NOT NULL,
    class      TEXT,
    spam       INTEGER, -- 0 or 1
    decided_at INTEGER NOT NULL,
    decided    INTEGER NOT NULL, -- the decision's offset
    PRIMARY KEY (chat_id, message_id, edit, owner)
) STRICT, WITHOUT ROWID;

CREATE INDEX labels_by_decision ON labels (decided);
