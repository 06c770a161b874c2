-- The sinks that were made through the API. `settings` is a JSON object, the sink's table without `type` and `enabled`; what is
-- secret in it is a reference, or encrypted. The last revision is in `meta`: it begins with the time, so that another file never
-- goes through the same ones.
CREATE TABLE sink (
    name       TEXT PRIMARY KEY,
    type       TEXT NOT NULL,
    settings   TEXT NOT NULL,
    enabled    INTEGER NOT NULL,
    revision   INTEGER NOT NULL,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL
) WITHOUT ROWID;
INSERT INTO meta (key, value) VALUES ('sinks', 1000 * CAST(strftime('%s', 'now') AS INTEGER));
