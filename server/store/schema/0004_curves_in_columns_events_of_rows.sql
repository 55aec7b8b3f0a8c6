-- Curves in columns; events that a job's own row tells have no row; more indices.

-- A few rows a job, each a chunk of its curve (curve_chunk.h).
CREATE TABLE curve_chunks (
  key    INTEGER PRIMARY KEY,  -- job << 27 | iteration of the first point
  last   INTEGER NOT NULL,     -- iteration of the last point
  points INTEGER NOT NULL,
  chunk  BLOB    NOT NULL
) STRICT;

-- curve_chunk() is a function of modlab's own: see migration_functions.h.
INSERT INTO curve_chunks (key, last, points, chunk)
  SELECT (job_id << 27) + min(iteration), max(iteration), count(*), curve_chunk(point)
    FROM (SELECT job_id, iteration, point,
                 (row_number() OVER (PARTITION BY job_id ORDER BY iteration) - 1) / 128 AS part
            FROM curve_points)
    GROUP BY job_id, part;

DROP TABLE curve_points;

-- Events, those included that have no row in job_events: SUBMITTED, which is a job's first;
-- LEASED of the attempt that runs, and of the one that has succeeded; FINISHED.
ALTER TABLE jobs ADD COLUMN events            INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN started_iteration INTEGER NOT NULL DEFAULT 0;  -- of the attempt that started last

UPDATE jobs SET
  events = (SELECT max(n) FROM job_events WHERE job = id),
  started_iteration = coalesce(
    (SELECT job_events.iteration FROM job_events WHERE job = id AND kind = 2
       ORDER BY n DESC LIMIT 1), 0)
  WHERE EXISTS (SELECT 1 FROM job_events WHERE job = id);

DELETE FROM job_events WHERE kind IN (1, 6);
DELETE FROM job_events WHERE kind = 2 AND EXISTS
  (SELECT 1 FROM jobs WHERE id = job AND (state = 2 AND n = events OR state = 3 AND n = events - 1));

-- What users ask for of many jobs at once.
CREATE INDEX jobs_ended_without_result ON jobs (id) WHERE state IN (4, 5);
