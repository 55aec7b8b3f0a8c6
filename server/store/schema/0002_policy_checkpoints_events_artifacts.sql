-- Policies of sweeps, checkpoints and events of jobs, and which artifacts are still needed.

ALTER TABLE sweeps ADD COLUMN policy BLOB NOT NULL DEFAULT x'';  -- SweepPolicy
ALTER TABLE sweeps ADD COLUMN user   TEXT NOT NULL DEFAULT '';

-- The newest of each name that was pruned: its id is not given again.
CREATE TABLE pruned_sweeps (
  name TEXT    PRIMARY KEY,
  nth  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

ALTER TABLE jobs ADD COLUMN not_before_us        INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN place                TEXT    NOT NULL DEFAULT '';  -- of the worker in worker_name
ALTER TABLE jobs ADD COLUMN avoid_place          TEXT    NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN checkpoint_iteration INTEGER NOT NULL DEFAULT -1;  -- -1: no checkpoint
ALTER TABLE jobs ADD COLUMN checkpoint_sha256    TEXT    NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN checkpoint_bytes     INTEGER NOT NULL DEFAULT 0;

-- As JobEvent says. Jobs that are older than this table have none of before.
CREATE TABLE job_events (
  job       INTEGER NOT NULL REFERENCES jobs (id),
  n         INTEGER NOT NULL,                      -- counts a job's events from 1
  time_us   INTEGER NOT NULL,
  kind      INTEGER NOT NULL,                      -- JobEventKind
  attempt   INTEGER NOT NULL,
  worker    TEXT    NOT NULL,
  iteration INTEGER NOT NULL,
  reason    TEXT    NOT NULL,
  cause     INTEGER NOT NULL,                      -- FailureCause
  PRIMARY KEY (job, n)
) STRICT, WITHOUT ROWID;

-- Each stands for the file of its name, which may be missing for a moment only: the row is
-- made before the file, and removed after it.
CREATE TABLE artifacts (
  sha256     TEXT    PRIMARY KEY,
  size_bytes INTEGER,                              -- NULL: its file was missing when this table was made
  touched_us INTEGER NOT NULL,                     -- registered, or let go by a job, last
  refs       INTEGER NOT NULL DEFAULT 0            -- rows of artifact_refs; the triggers below count them
) STRICT, WITHOUT ROWID;

CREATE INDEX artifacts_garbage ON artifacts (touched_us) WHERE refs = 0;

-- What jobs need. role: 1 the last weights of a result, 2 its best, 3 the checkpoint.
CREATE TABLE artifact_refs (
  sha256 TEXT    NOT NULL REFERENCES artifacts (sha256),
  role   INTEGER NOT NULL,
  job    INTEGER NOT NULL REFERENCES jobs (id),
  PRIMARY KEY (sha256, role, job)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX artifact_refs_of_job ON artifact_refs (job, role);

CREATE TRIGGER artifact_ref_added AFTER INSERT ON artifact_refs BEGIN
  UPDATE artifacts SET refs = refs + 1 WHERE sha256 = NEW.sha256;
END;

CREATE TRIGGER artifact_ref_removed AFTER DELETE ON artifact_refs BEGIN
  UPDATE artifacts SET refs = refs - 1 WHERE sha256 = OLD.sha256;
END;

-- The weights of the results that are there already. result_weights() and artifact_bytes()
-- are functions of modlab's own: see migration_functions.h.
INSERT INTO artifacts (sha256, size_bytes, touched_us)
  SELECT weights.sha256, artifact_bytes(weights.sha256), max(jobs.finished_us)
    FROM (SELECT job, result_weights(result, 1) AS sha256 FROM results
          UNION ALL
          SELECT job, result_weights(result, 2) FROM results) AS weights
    JOIN jobs ON jobs.id = weights.job
    WHERE weights.sha256 IS NOT NULL
    GROUP BY weights.sha256;

INSERT INTO artifact_refs (sha256, role, job)
  SELECT result_weights(result, 1), 1, job FROM results WHERE result_weights(result, 1) IS NOT NULL
  UNION ALL
  SELECT result_weights(result, 2), 2, job FROM results WHERE result_weights(result, 2) IS NOT NULL;
