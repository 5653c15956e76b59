-- What callers mark messages as, what was recorded before it was cleaned, and whether callers are told how to leave a message.

ALTER TABLE messages ADD COLUMN urgent BIGINT NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN private BIGINT NOT NULL DEFAULT 0;
-- The recording as it came, when `audio` is a cleaned one.
ALTER TABLE messages ADD COLUMN original_audio TEXT;

ALTER TABLE mailboxes ADD COLUMN instructions BIGINT NOT NULL DEFAULT 0;
