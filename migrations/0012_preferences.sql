-- What a subscriber prefers on the telephone, as a JSON object; what it does not name is as the tenant, or else the service, has it.
ALTER TABLE mailboxes ADD COLUMN preferences TEXT NOT NULL DEFAULT '{}';
