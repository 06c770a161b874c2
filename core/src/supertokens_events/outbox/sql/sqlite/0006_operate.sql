-- When a person last made it due again, and the replays that are under way or were interrupted.
ALTER TABLE delivery ADD COLUMN replayed_at REAL;

CREATE TABLE replay (
    id        INTEGER PRIMARY KEY,
    asked     TEXT NOT NULL,
    target    TEXT,
    selection TEXT NOT NULL,
    by        TEXT NOT NULL,
    began_at  REAL NOT NULL,
    since     REAL NOT NULL,
    seen_at   REAL NOT NULL
);

-- What is settled, by sink and state, in order: to look at, to count, to replay.
DROP INDEX delivery_state;
CREATE INDEX delivery_state ON delivery (sink, state, sequence) WHERE state <> 'pending';
-- Of all events, by type, what one may ask for: it is read instead of them.
DROP INDEX event_type;
CREATE INDEX event_type ON event (type, sequence, tenant_id, correlation_id);

-- The dispatchers that run, and when each last said so. `leads` is a JSON list of sinks.
CREATE TABLE dispatcher (
    id       TEXT PRIMARY KEY,
    host     TEXT NOT NULL,
    pid      INTEGER NOT NULL,
    version  TEXT NOT NULL,
    leads    TEXT NOT NULL,
    began_at REAL NOT NULL,
    seen_at  REAL NOT NULL
) WITHOUT ROWID;
