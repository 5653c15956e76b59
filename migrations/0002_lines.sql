-- Phones that are put directly on the server: their secrets, and where they are registered.

-- What a phone may call itself, with the digest of name, realm and password (HA1). The password itself is nowhere.
CREATE TABLE lines (
    tenant TEXT NOT NULL,
    username TEXT NOT NULL,
    mailbox_id TEXT NOT NULL REFERENCES mailboxes (id),
    realm TEXT NOT NULL,
    ha1_md5 TEXT NOT NULL,
    ha1_sha256 TEXT NOT NULL,
    changed_at BIGINT NOT NULL,
    -- Written by every registration, so that those of one line take turns on both databases.
    turn BIGINT NOT NULL,
    PRIMARY KEY (tenant, username)
);

CREATE INDEX lines_by_mailbox ON lines (mailbox_id);

CREATE TABLE registrations (
    mailbox_id TEXT NOT NULL REFERENCES mailboxes (id),
    -- The contact's URI in the form it is compared in, and as it was given.
    contact_key TEXT NOT NULL,
    contact TEXT NOT NULL,
    -- Path values (RFC 3327), a line each, nearest first.
    path TEXT NOT NULL,
    -- q in thousandths.
    preference BIGINT,
    call_id TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    user_agent TEXT,
    -- Where the REGISTER came from, and which of our addresses it came to.
    transport TEXT NOT NULL,
    remote TEXT NOT NULL,
    local TEXT NOT NULL,
    -- The run of the server that has the connection, and which of its connections it is.
    connection TEXT,
    -- Whether the phone itself is at the other end of that way, and no proxy.
    direct BIGINT NOT NULL,
    registered_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (mailbox_id, contact_key)
);

CREATE INDEX registrations_by_expiry ON registrations (expires_at);

-- Secrets that all nodes share and nobody chooses, such as the one that nonces are signed with.
CREATE TABLE server_keys (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);
