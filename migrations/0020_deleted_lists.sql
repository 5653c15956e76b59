-- The deleted list of a mailbox is found, and counted at every login, without a look at what all the others have deleted.
CREATE INDEX messages_deleted_by_mailbox ON messages (mailbox_id, deleted_at) WHERE deleted_at IS NOT NULL;
