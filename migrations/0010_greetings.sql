-- Greetings that end or can be brought back, first logins that go on where they were broken off, the log of each mailbox, and those
-- who look after a tenant's mailboxes by phone. The standard greeting and the spoken name stay in mailboxes, those for reasons of a
-- forward in forward_greetings.

ALTER TABLE mailboxes ADD COLUMN administrator BIGINT NOT NULL DEFAULT 0;

-- What a mailbox that is not enrolled is still asked for at its login.
ALTER TABLE mailboxes ADD COLUMN passcode_due BIGINT NOT NULL DEFAULT 1;
ALTER TABLE mailboxes ADD COLUMN name_due BIGINT NOT NULL DEFAULT 1;
ALTER TABLE mailboxes ADD COLUMN greeting_due BIGINT NOT NULL DEFAULT 1;

-- Heard instead of every other greeting, until it ends.
CREATE TABLE temporary_greetings (
    mailbox_id TEXT NOT NULL PRIMARY KEY REFERENCES mailboxes (id),
    audio TEXT NOT NULL,
    ends_at BIGINT
);

-- The recording before the current one, for as long as it can be brought back.
CREATE TABLE previous_greetings (
    mailbox_id TEXT NOT NULL REFERENCES mailboxes (id),
    -- standard, busy, no-answer, unavailable, unconditional, temporary, name
    kind TEXT NOT NULL,
    audio TEXT NOT NULL,
    PRIMARY KEY (mailbox_id, kind)
);

-- What a tenant's callers and subscribers hear instead of our words.
CREATE TABLE tenant_phrases (
    tenant TEXT NOT NULL,
    -- greeting, welcome, no-mailbox
    phrase TEXT NOT NULL,
    audio TEXT NOT NULL,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, phrase)
);

-- Who opened a mailbox or tried to, and who changed its passcode or its greetings.
CREATE TABLE mailbox_log (
    id TEXT NOT NULL PRIMARY KEY,
    mailbox_id TEXT NOT NULL REFERENCES mailboxes (id),
    at BIGINT NOT NULL,
    what TEXT NOT NULL,
    -- The same with its details, as JSON.
    event TEXT NOT NULL,
    -- own-line, phone, command
    channel TEXT NOT NULL,
    number TEXT,
    address TEXT,
    call_id TEXT,
    -- How often the same happened again within the hour, and when it last did.
    repeated BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    -- Whether the subscriber was told by mail.
    told BIGINT NOT NULL
);

CREATE INDEX mailbox_log_by_mailbox ON mailbox_log (mailbox_id, at);
CREATE INDEX mailbox_log_by_time ON mailbox_log (at);
