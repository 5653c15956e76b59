-- The deleted list, and the number a caller dialled.

-- When a subscriber deleted the message. It can be restored until it is purged; its expiry stays what it was.
ALTER TABLE messages ADD COLUMN deleted_at BIGINT;
-- The number that the caller dialled, if it is not the mailbox's own.
ALTER TABLE messages ADD COLUMN called_number TEXT;

CREATE INDEX messages_by_deletion ON messages (deleted_at) WHERE deleted_at IS NOT NULL;
