-- One row per fact about the store itself: schema_version, and the last sequence given.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;

-- What happened. The skeleton stays when the payload is erased (payload NULL).
CREATE TABLE event (
    sequence       INTEGER PRIMARY KEY,
    id             TEXT NOT NULL UNIQUE,
    type           TEXT NOT NULL,
    timestamp      TEXT NOT NULL,
    tenant_id      TEXT,
    user_id        TEXT,
    correlation_id TEXT,
    stored_at      REAL NOT NULL,
    payload        BLOB
);
CREATE INDEX event_user ON event (user_id, sequence) WHERE user_id IS NOT NULL;
CREATE INDEX event_type ON event (type, sequence);

-- One event on its way to one sink. `fence` counts claims; `used` counts the attempts that were used up.
CREATE TABLE delivery (
    id       INTEGER PRIMARY KEY,
    sequence INTEGER NOT NULL REFERENCES event (sequence),
    sink     TEXT NOT NULL,
    state    TEXT NOT NULL CHECK (state IN ('pending', 'done', 'dead', 'skipped')),
    due_at   REAL NOT NULL,
    fence    INTEGER NOT NULL DEFAULT 0,
    used     INTEGER NOT NULL DEFAULT 0,
    reason   TEXT,
    UNIQUE (sequence, sink)
);
-- What a claim reads: only pending rows are in it, so its size follows the backlog and not the history.
CREATE INDEX delivery_due ON delivery (sink, due_at, id) WHERE state = 'pending';
CREATE INDEX delivery_state ON delivery (sink, state);

-- One try. `detail` is a small JSON object that the sink gave.
CREATE TABLE attempt (
    delivery   INTEGER NOT NULL REFERENCES delivery (id),
    number     INTEGER NOT NULL,
    started_at REAL NOT NULL,
    duration   REAL NOT NULL,
    outcome    TEXT NOT NULL,
    reason     TEXT,
    detail     TEXT NOT NULL DEFAULT '{}',
    PRIMARY KEY (delivery, number)
) WITHOUT ROWID;

-- Counts of everything that did not become a delivery, and of every failure of ours, by reason.
CREATE TABLE ledger (
    reason     TEXT NOT NULL,
    subject    TEXT NOT NULL,
    event_type TEXT NOT NULL,
    count      INTEGER NOT NULL,
    first_at   REAL NOT NULL,
    last_at    REAL NOT NULL,
    PRIMARY KEY (reason, subject, event_type)
) WITHOUT ROWID;

INSERT INTO meta (key, value) VALUES ('sequence', 0);
