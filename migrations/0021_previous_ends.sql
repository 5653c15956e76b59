-- When a temporary greeting that can be brought back was to end, if it was.
ALTER TABLE previous_greetings ADD COLUMN ends_at BIGINT;
