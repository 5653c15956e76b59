-- The schema, one text for SQLite and PostgreSQL. Moments are UTC milliseconds, spans are milliseconds, booleans are 0 and 1;
-- ids are made by us. Once released this file is never edited: a change is the next file.

CREATE TABLE mailboxes (
    id TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL,
    number TEXT NOT NULL,
    name TEXT NOT NULL,
    email TEXT,
    voice_to_email_since BIGINT,
    time_zone TEXT NOT NULL,
    language TEXT NOT NULL,
    enabled BIGINT NOT NULL,
    enrolled BIGINT NOT NULL,
    passcode_hash TEXT NOT NULL,
    greeting TEXT,
    spoken_name TEXT,
    mail_problem TEXT,
    -- The fullness the subscriber was last told about: 0 roomy, 1 nearly full, 2 full.
    fullness_told BIGINT NOT NULL,
    -- Wrong passcodes in a row from anywhere but the mailbox's own line, and when that ended remote access.
    remote_failures BIGINT NOT NULL,
    remote_locked_at BIGINT,
    -- Written by every deposit, so that deposits into one mailbox take turns on both databases.
    deposit_turn BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (tenant, number)
);

-- Every number that reaches a mailbox, its own and its aliases, so that none is given twice.
CREATE TABLE mailbox_numbers (
    tenant TEXT NOT NULL,
    number TEXT NOT NULL,
    mailbox_id TEXT NOT NULL REFERENCES mailboxes (id),
    alias BIGINT NOT NULL,
    PRIMARY KEY (tenant, number)
);

CREATE INDEX mailbox_numbers_by_mailbox ON mailbox_numbers (mailbox_id);

CREATE TABLE messages (
    id TEXT NOT NULL PRIMARY KEY,
    mailbox_id TEXT NOT NULL REFERENCES mailboxes (id),
    caller_number TEXT,
    caller_name TEXT,
    deposited_at BIGINT NOT NULL,
    stamp_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    heard_at BIGINT,
    saved_at BIGINT,
    mailed_at BIGINT,
    -- When the subscriber was warned that it is about to expire.
    warned_at BIGINT,
    duration_ms BIGINT NOT NULL,
    audio TEXT NOT NULL,
    interrupted BIGINT NOT NULL,
    version BIGINT NOT NULL
);

CREATE INDEX messages_by_mailbox ON messages (mailbox_id, deposited_at);
CREATE INDEX messages_by_expiry ON messages (expires_at);

-- Ids of all recent deposits, outliving the message, so that a journal met again never brings a deleted message back.
CREATE TABLE deposited (
    message_id TEXT NOT NULL PRIMARY KEY,
    deposited_at BIGINT NOT NULL
);

CREATE INDEX deposited_by_time ON deposited (deposited_at);

-- Audio objects that rows refer to (removed_at is null), or that must not be referred to again because they are being removed.
-- Whoever inserts a key first decides whether an object is kept or swept; a swept key is remembered for a while, so that a
-- deposit that comes late learns of it.
CREATE TABLE audio (
    key TEXT NOT NULL PRIMARY KEY,
    removed_at BIGINT,
    swept BIGINT NOT NULL
);

CREATE INDEX audio_by_removal ON audio (removed_at);

CREATE TABLE outbox (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    mailbox_id TEXT NOT NULL REFERENCES mailboxes (id),
    message_id TEXT,
    payload TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    leased_until BIGINT,
    attempts BIGINT NOT NULL,
    last_error TEXT,
    dead_at BIGINT
);

CREATE INDEX outbox_by_due ON outbox (due_at);
CREATE INDEX outbox_by_message ON outbox (message_id);
CREATE INDEX outbox_by_mailbox ON outbox (mailbox_id);

-- Wrong passcodes by source, across calls and nodes.
CREATE TABLE passcode_attempts (
    source TEXT NOT NULL PRIMARY KEY,
    -- The one mailbox all failures were against; null when there were several, or it does not exist.
    mailbox_id TEXT,
    failures BIGINT NOT NULL,
    locks BIGINT NOT NULL,
    locked_until BIGINT,
    last_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);

CREATE INDEX passcode_attempts_by_time ON passcode_attempts (last_at);

CREATE TABLE job_runs (
    name TEXT NOT NULL PRIMARY KEY,
    last_run_at BIGINT,
    last_report TEXT,
    locked_until BIGINT,
    lock_holder TEXT
);

-- One row: the latest moment at which a wall clock was believed.
CREATE TABLE clock (
    id BIGINT NOT NULL PRIMARY KEY,
    seen_at BIGINT NOT NULL
);
