-- What the owners of shared mailboxes did with messages there. Rows outlive the owners' mailboxes, and go as call records do.

CREATE TABLE shared_actions (
    mailbox_id TEXT NOT NULL REFERENCES mailboxes (id),
    at BIGINT NOT NULL,
    message_id TEXT NOT NULL,
    -- heard, saved, deleted
    what TEXT NOT NULL,
    owner_id TEXT NOT NULL,
    -- The owner's number at that time.
    owner_number TEXT NOT NULL,
    PRIMARY KEY (mailbox_id, at, message_id, what)
);

CREATE INDEX shared_actions_by_time ON shared_actions (at);
