-- The sinks whose places want no more events. Their deliveries stay as they are, and are in no claim.
CREATE TABLE disabled (
    sink   TEXT PRIMARY KEY,
    since  REAL NOT NULL,
    reason TEXT NOT NULL
) WITHOUT ROWID;
