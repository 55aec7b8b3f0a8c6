-- Times are microseconds since the Unix epoch, 0 where it has not happened.
-- Messages are serialized protocol buffers of modlab.v1.
-- jobs.state has JobState's numbers: 1 queued, 2 running, 3 succeeded, 4 failed, 5 cancelled.

CREATE TABLE sweeps (
  number       INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order in which they came
  id           TEXT    NOT NULL UNIQUE,            -- "<name>-<nth>"
  name         TEXT    NOT NULL,
  nth          INTEGER NOT NULL,                   -- counts the sweeps of this name from 1
  request_id   TEXT    NOT NULL UNIQUE,
  created_us   INTEGER NOT NULL,
  cancelled_us INTEGER NOT NULL DEFAULT 0,
  spec         BLOB    NOT NULL,                   -- SweepSpec
  UNIQUE (name, nth)
) STRICT;

-- What counting reads stands first, so that it never has to read the blobs.
CREATE TABLE jobs (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,   -- never used again
  state       INTEGER NOT NULL,
  iterations  INTEGER NOT NULL,                    -- asked for
  iteration   INTEGER NOT NULL DEFAULT 0,          -- done, as last reported
  attempt     INTEGER NOT NULL DEFAULT 0,
  failures    INTEGER NOT NULL DEFAULT 0,
  replicate   INTEGER NOT NULL,
  created_us  INTEGER NOT NULL,
  started_us  INTEGER NOT NULL DEFAULT 0,
  finished_us INTEGER NOT NULL DEFAULT 0,
  job_key     TEXT    NOT NULL,
  shape_key   TEXT    NOT NULL,
  worker_id   TEXT    NOT NULL DEFAULT '',         -- of the current lease
  worker_name TEXT    NOT NULL DEFAULT '',         -- of the current lease, or the last
  config      BLOB    NOT NULL,                    -- canonical JobConfig
  failure     BLOB                                 -- Failure
) STRICT;

CREATE UNIQUE INDEX jobs_by_key ON jobs (job_key, replicate);
CREATE INDEX jobs_unfinished ON jobs (id) WHERE state IN (1, 2);

CREATE TABLE sweep_jobs (
  sweep INTEGER NOT NULL REFERENCES sweeps (number),
  job   INTEGER NOT NULL REFERENCES jobs (id),
  PRIMARY KEY (sweep, job)
) STRICT, WITHOUT ROWID;

CREATE INDEX sweeps_of_job ON sweep_jobs (job, sweep);

CREATE TABLE results (
  job    INTEGER PRIMARY KEY REFERENCES jobs (id),
  result BLOB    NOT NULL                          -- JobResult
) STRICT;

CREATE TABLE curve_points (
  job_id    INTEGER NOT NULL REFERENCES jobs (id),
  iteration INTEGER NOT NULL,
  point     BLOB    NOT NULL,                      -- CurvePoint
  PRIMARY KEY (job_id, iteration)
) STRICT, WITHOUT ROWID;
