-- One row per owner and message version; one that says nothing was taken back, and stays so that nothing older returns.

CREATE TABLE labels (
    chat_id    BIGINT NOT NULL,
    message_id BIGINT NOT NULL,
    edit       BIGINT NOT NULL,
    owner      TEXT   COLLATE "C" NOT NULL,
    class      TEXT,
    spam       BIGINT, -- 0 or 1
    decided_at BIGINT NOT NULL,
    decided    BIGINT NOT NULL, -- the decision's offset
    PRIMARY KEY (chat_id, message_id, edit, owner)
);

CREATE INDEX labels_by_decision ON labels (decided);
