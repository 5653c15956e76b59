-- Callers who are handed on: to an operator, or by a subscriber who calls back.

-- What became of those that the call was asked to be transferred to, as JSON.
ALTER TABLE call_records ADD COLUMN transfers TEXT;

-- What a mailbox may; a mailbox without a row may nothing.
CREATE TABLE mailbox_transfers (
    mailbox_id TEXT NOT NULL PRIMARY KEY REFERENCES mailboxes (id),
    -- Whom callers reach who ask for an operator; null for nobody.
    operator TEXT,
    -- Whether its subscriber may call back.
    call_back BIGINT NOT NULL
);

-- The beginnings of the numbers that the mailboxes of a tenant (its domain) or one mailbox (its id) may call back, or may not.
CREATE TABLE destinations (
    scope TEXT NOT NULL,
    subject TEXT NOT NULL,
    prefix TEXT NOT NULL,
    allowed BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (scope, subject, prefix)
);

-- Calls back of the last day. They are counted, and so are kept without numbers.
CREATE TABLE call_backs (
    id TEXT NOT NULL PRIMARY KEY,
    mailbox_id TEXT NOT NULL,
    begun_at BIGINT NOT NULL,
    -- When it was known what came of it.
    ended_at BIGINT
);

CREATE INDEX call_backs_by_time ON call_backs (begun_at);

-- One row, which is written by every call back, so that they take turns on both databases.
CREATE TABLE call_back_turn (
    id BIGINT NOT NULL PRIMARY KEY,
    turn BIGINT NOT NULL
);

INSERT INTO call_back_turn (id, turn) VALUES (1, 0);
