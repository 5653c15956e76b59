-- Messages between mailboxes: distribution lists, what is on its way to several mailboxes, and mailboxes with several owners.

-- Mailboxes that one number stands for: for everybody of a tenant (owner is empty), or for one subscriber only (the mailbox's id).
CREATE TABLE distribution_lists (
    id TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL,
    owner TEXT NOT NULL,
    number TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (tenant, owner, number)
);

CREATE TABLE distribution_members (
    list_id TEXT NOT NULL REFERENCES distribution_lists (id),
    mailbox_id TEXT NOT NULL REFERENCES mailboxes (id),
    PRIMARY KEY (list_id, mailbox_id)
);

CREATE INDEX distribution_members_by_mailbox ON distribution_members (mailbox_id);

-- One recording on its way to mailboxes. Written before its sender is told that it is sent; every message of it has an id that
-- follows from the sending's and the mailbox's, so that whoever goes on where another stopped deposits none twice.
CREATE TABLE sendings (
    id TEXT NOT NULL PRIMARY KEY,
    -- forwarded, reply, sent, broadcast
    kind TEXT NOT NULL,
    -- The sender's mailbox, and how it is shown as the caller; null when the operator sends.
    sender_id TEXT,
    sender_number TEXT,
    sender_name TEXT,
    -- The message that is forwarded or replied to.
    origin_id TEXT,
    -- Referred to until everybody has it.
    audio TEXT NOT NULL,
    duration_ms BIGINT NOT NULL,
    urgent BIGINT NOT NULL,
    private BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    leased_until BIGINT NOT NULL,
    finished_at BIGINT
);

CREATE INDEX sendings_by_time ON sendings (created_at);
CREATE INDEX sendings_unfinished ON sendings (leased_until) WHERE finished_at IS NULL;

CREATE TABLE sending_recipients (
    sending_id TEXT NOT NULL REFERENCES sendings (id),
    -- It may have been removed since.
    mailbox_id TEXT NOT NULL,
    -- delivered, full, gone; null while it waits.
    outcome TEXT,
    PRIMARY KEY (sending_id, mailbox_id)
);

CREATE INDEX sending_recipients_waiting ON sending_recipients (sending_id, mailbox_id) WHERE outcome IS NULL;

-- Whether a trusted peer or a line's password vouched for the caller's number.
ALTER TABLE messages ADD COLUMN caller_verified BIGINT NOT NULL DEFAULT 0;

-- How a message came that was left by no call; null for one that was.
ALTER TABLE messages ADD COLUMN sent_kind TEXT;
ALTER TABLE messages ADD COLUMN sender_id TEXT;
ALTER TABLE messages ADD COLUMN origin_id TEXT;

-- How many rows refer to the object: a message sent to several mailboxes is kept once.
ALTER TABLE audio ADD COLUMN uses BIGINT NOT NULL DEFAULT 1;

-- Who opens a shared mailbox, from a mailbox of their own.
CREATE TABLE mailbox_owners (
    mailbox_id TEXT NOT NULL REFERENCES mailboxes (id),
    owner_id TEXT NOT NULL REFERENCES mailboxes (id),
    added_at BIGINT NOT NULL,
    PRIMARY KEY (mailbox_id, owner_id)
);

CREATE INDEX mailbox_owners_by_owner ON mailbox_owners (owner_id);
