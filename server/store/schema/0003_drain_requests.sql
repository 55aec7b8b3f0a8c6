-- Workers that were asked to drain: they are told so by a coordinator that was started since, too.

CREATE TABLE drain_requests (
  worker_id TEXT    PRIMARY KEY,
  asked_us  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
