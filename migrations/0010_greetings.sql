-- Who looks after a tenant's mailboxes by phone.

ALTER TABLE mailboxes ADD COLUMN administrator BIGINT NOT NULL DEFAULT 0;
