-- Places that are in quarantine, or were and have not proved themselves since.

CREATE TABLE quarantines (
  place    TEXT    PRIMARY KEY,
  failures INTEGER NOT NULL,  -- gangs that failed in a row
  until_us INTEGER NOT NULL,
  reason   TEXT    NOT NULL   -- of the last of them
) STRICT, WITHOUT ROWID;
