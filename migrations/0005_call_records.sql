-- One row for every call and every other attempt to do something here. The only place with full numbers of callers; rows outlive
-- the mailboxes they name, and are removed when they are older than the setting `records.keep`.

CREATE TABLE call_records (
    id TEXT NOT NULL PRIMARY KEY,
    node TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    answered_at BIGINT,
    ended_at BIGINT,
    -- An address, or a network that attempts were counted together for.
    source TEXT NOT NULL,
    transport TEXT NOT NULL,
    sip_call_id TEXT,
    caller_number TEXT,
    caller_name TEXT,
    -- Who vouches for the caller: asserted, from, line …
    believed TEXT NOT NULL,
    called TEXT NOT NULL,
    -- The line that proved itself by a password.
    line TEXT,
    mailbox_id TEXT,
    mailbox_tenant TEXT,
    mailbox_number TEXT,
    -- How the mailbox was chosen, as JSON.
    reasoning TEXT,
    purpose TEXT NOT NULL,
    codec TEXT,
    outcome TEXT NOT NULL,
    status BIGINT,
    reason TEXT,
    -- The Reason header that ended it.
    end_cause TEXT,
    message_id TEXT,
    -- How many attempts the row stands for.
    attempts BIGINT NOT NULL
);

CREATE INDEX call_records_by_time ON call_records (started_at, id);
CREATE INDEX call_records_by_mailbox ON call_records (mailbox_id, started_at);
CREATE INDEX call_records_running ON call_records (node) WHERE outcome = 'running';
