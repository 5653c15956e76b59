-- Greetings for callers who were forwarded for one reason, instead of the mailbox's own.

CREATE TABLE forward_greetings (
    mailbox_id TEXT NOT NULL REFERENCES mailboxes (id),
    -- busy, no-answer, unavailable, unconditional
    forward TEXT NOT NULL,
    audio TEXT NOT NULL,
    PRIMARY KEY (mailbox_id, forward)
);
