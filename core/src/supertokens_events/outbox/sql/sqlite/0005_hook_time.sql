-- How long the hooks of plugins took, hour by hour: `bucket` is about how long, four to each doubling of a microsecond.
CREATE TABLE hook_time (
    hour     INTEGER NOT NULL,
    plugin   TEXT NOT NULL,
    hook     TEXT NOT NULL,
    bucket   INTEGER NOT NULL,
    calls    INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    total    REAL NOT NULL,
    longest  REAL NOT NULL,
    last_at  REAL NOT NULL,
    PRIMARY KEY (hour, plugin, hook, bucket)
) WITHOUT ROWID;
