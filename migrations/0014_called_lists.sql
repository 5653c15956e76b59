-- Distribution lists that callers reach: a message left at the list's number goes to all of its mailboxes.
ALTER TABLE distribution_lists ADD COLUMN takes_calls BIGINT NOT NULL DEFAULT 0;
-- What callers hear there; without one, the greeting of the first mailbox that takes the message.
ALTER TABLE distribution_lists ADD COLUMN greeting TEXT;
