-- From where phones may register and calls may come in, what is told of credentials, and whom a mailbox does not want to hear from.

-- A list of addresses for the whole service (subject is empty), a tenant (its domain) or a mailbox (its id). Without entries (null)
-- the list was taken away; the row stays, so that servers that are running learn of it.
CREATE TABLE access_lists (
    scope TEXT NOT NULL,
    subject TEXT NOT NULL,
    purpose TEXT NOT NULL,
    entries TEXT,
    changed_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (scope, subject, purpose)
);

CREATE INDEX access_lists_by_version ON access_lists (version);

-- One row: the version of the latest change to an access list. Changes take turns at it.
CREATE TABLE access_version (
    id BIGINT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL
);

INSERT INTO access_version (id, version) VALUES (1, 0);

-- From where, and with which software, a mailbox's credentials were used: kind is address or agent.
CREATE TABLE credential_uses (
    mailbox_id TEXT NOT NULL REFERENCES mailboxes (id),
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    first_at BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    PRIMARY KEY (mailbox_id, kind, value)
);

-- What was noticed about credentials.
CREATE TABLE access_log (
    id TEXT NOT NULL PRIMARY KEY,
    mailbox_id TEXT NOT NULL REFERENCES mailboxes (id),
    at BIGINT NOT NULL,
    what TEXT NOT NULL,
    address TEXT NOT NULL,
    agent TEXT,
    -- How often the same happened again within the hour, and when it last did.
    repeated BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    -- Whether the subscriber was told of it by mail, alone or in a summary.
    told BIGINT NOT NULL
);

CREATE INDEX access_log_by_time ON access_log (at);
CREATE INDEX access_log_by_mailbox ON access_log (mailbox_id, at);

-- What a mailbox wants to be told, and whom it refuses; a mailbox without a row has the defaults.
CREATE TABLE mailbox_screening (
    mailbox_id TEXT NOT NULL PRIMARY KEY REFERENCES mailboxes (id),
    -- Which uses of its credentials are alerted to.
    alerts TEXT NOT NULL,
    refuses_anonymous BIGINT NOT NULL,
    -- How many alerts were mailed since a moment.
    alerts_mailed BIGINT NOT NULL,
    alerts_since BIGINT NOT NULL
);

-- Callers whom a mailbox does not accept.
CREATE TABLE blocked_callers (
    mailbox_id TEXT NOT NULL REFERENCES mailboxes (id),
    number TEXT NOT NULL,
    blocked_at BIGINT NOT NULL,
    PRIMARY KEY (mailbox_id, number)
);
