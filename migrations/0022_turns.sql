-- Rows that are written by all who change the same thing, so that they take turns on both databases where no row of its own is there
-- to be written.
CREATE TABLE turns (
    what TEXT NOT NULL PRIMARY KEY,
    turn BIGINT NOT NULL
);

-- Which numbers mailboxes and distribution lists have; where may be called back.
INSERT INTO turns (what, turn) VALUES ('numbers', 0), ('destinations', 0);
