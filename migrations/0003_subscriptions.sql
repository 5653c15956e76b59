-- Message waiting indication: who is to be told of a mailbox's counts, and which mailboxes' counts have changed.

-- Mailboxes whose counts have changed since their lamps were last looked at: one row however often they change, written in the
-- transaction that changes them.
CREATE TABLE mwi_changes (
    mailbox_id TEXT NOT NULL PRIMARY KEY REFERENCES mailboxes (id),
    changed_at BIGINT NOT NULL
);

-- Who is told. The id of one that was subscribed is our tag in its dialog.
CREATE TABLE subscriptions (
    id TEXT NOT NULL PRIMARY KEY,
    mailbox_id TEXT NOT NULL,
    -- subscribed; phone and proxy are told without having asked.
    kind TEXT NOT NULL,
    -- Whom of its kind, for those who have not asked: told once a mailbox.
    target TEXT,
    -- What our requests need to reach the peer, as the SIP layer writes it.
    dialog TEXT NOT NULL,
    -- CSeq of our latest NOTIFY, raised before it is sent; and of the peer's latest SUBSCRIBE.
    local_sequence BIGINT NOT NULL,
    remote_sequence BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    -- Why the next NOTIFY is the last one.
    ends TEXT,
    -- Raised by all that makes a NOTIFY necessary, so that what comes while one is on its way is not forgotten.
    change BIGINT NOT NULL,
    -- When the next NOTIFY is due, at its end at the latest; and until when none may be sent but for a SUBSCRIBE.
    due_at BIGINT NOT NULL,
    quiet_until BIGINT NOT NULL,
    leased_until BIGINT,
    attempts BIGINT NOT NULL,
    -- The node that the peer knows; another one takes over when it is gone.
    owner TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE INDEX subscriptions_by_due ON subscriptions (due_at);
CREATE INDEX subscriptions_by_mailbox ON subscriptions (mailbox_id);
CREATE UNIQUE INDEX subscriptions_by_target ON subscriptions (mailbox_id, kind, target);

-- The nodes that send, and until when they are believed to be alive.
CREATE TABLE notifiers (
    node TEXT NOT NULL PRIMARY KEY,
    alive_until BIGINT NOT NULL
);
