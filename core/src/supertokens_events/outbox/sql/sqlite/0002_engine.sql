-- Who is next: turns of tenants, order within a key, and since when a delivery waits. `held_until` is the end of a lease;
-- `since` is when it first became due: stored, or replayed. A delivery that waits for an earlier one of its key is due at
-- 9e15, out of the way of every claim, until that one is out of the way (see the triggers).
ALTER TABLE delivery ADD COLUMN tenant TEXT NOT NULL DEFAULT '';
ALTER TABLE delivery ADD COLUMN ordering_key TEXT;
ALTER TABLE delivery ADD COLUMN since REAL;
ALTER TABLE delivery ADD COLUMN first_at REAL;
ALTER TABLE delivery ADD COLUMN tried_at REAL;
ALTER TABLE delivery ADD COLUMN held_until REAL;

UPDATE delivery SET
    tenant = coalesce((SELECT tenant_id FROM event WHERE event.sequence = delivery.sequence), ''),
    since = (SELECT stored_at FROM event WHERE event.sequence = delivery.sequence),
    first_at = (SELECT min(started_at) FROM attempt WHERE attempt.delivery = delivery.id),
    tried_at = (SELECT max(started_at) FROM attempt WHERE attempt.delivery = delivery.id);

-- Version 1 did not say who is held: what was claimed more often than tried may be.
UPDATE delivery SET held_until = due_at
WHERE state = 'pending' AND fence > (SELECT count(*) FROM attempt WHERE attempt.delivery = delivery.id);

-- Few of them are for rows that nobody has claimed yet: an insert has to stay cheap.
DROP INDEX delivery_due;
CREATE INDEX delivery_due ON delivery (sink, due_at, id, sequence) WHERE state = 'pending';
DROP INDEX delivery_state;
CREATE INDEX delivery_state ON delivery (sink, state) WHERE state <> 'pending';
CREATE INDEX delivery_turn ON delivery (sink, tenant, due_at, id) WHERE state = 'pending';
CREATE INDEX delivery_order ON delivery (sink, ordering_key, sequence)
    WHERE state = 'pending' AND ordering_key IS NOT NULL;
CREATE INDEX delivery_taken ON delivery (sink, coalesce(first_at, since)) WHERE state = 'pending' AND fence > 0;
CREATE INDEX event_deleted ON event (sequence) WHERE type = 'user.deleted' AND payload IS NOT NULL;

-- Whoever takes the first of a key out of the way, by whatever statement, lets the next one go.
CREATE TRIGGER delivery_left AFTER UPDATE OF state ON delivery
WHEN OLD.ordering_key IS NOT NULL AND OLD.state = 'pending' AND NEW.state <> 'pending'
BEGIN
    UPDATE delivery SET due_at = since WHERE due_at = 9e15 AND id = (
        SELECT id FROM delivery
        WHERE sink = OLD.sink AND ordering_key = OLD.ordering_key AND state = 'pending' ORDER BY sequence LIMIT 1);
END;
CREATE TRIGGER delivery_gone AFTER DELETE ON delivery
WHEN OLD.ordering_key IS NOT NULL AND OLD.state = 'pending'
BEGIN
    UPDATE delivery SET due_at = since WHERE due_at = 9e15 AND id = (
        SELECT id FROM delivery
        WHERE sink = OLD.sink AND ordering_key = OLD.ordering_key AND state = 'pending' ORDER BY sequence LIMIT 1);
END;

-- The breakers that are open.
CREATE TABLE breaker (
    sink          TEXT PRIMARY KEY,
    open_since    REAL NOT NULL,
    failing_since REAL NOT NULL,
    probe_at      REAL NOT NULL,
    probes        INTEGER NOT NULL,
    reason        TEXT NOT NULL
) WITHOUT ROWID;

-- The latest of each sink's tries: attempts are many, and do not stay.
CREATE TABLE latest (
    sink         TEXT PRIMARY KEY,
    last_success REAL,
    last_failure REAL,
    last_reason  TEXT
) WITHOUT ROWID;
INSERT INTO latest (sink, last_success)
    SELECT sink, max(started_at) FILTER (WHERE outcome = 'delivered')
    FROM attempt JOIN delivery ON delivery.id = attempt.delivery GROUP BY sink;
-- In a query with one max(), SQLite takes the other columns from the row that has it.
INSERT INTO latest (sink, last_failure, last_reason)
    SELECT sink, max(started_at), attempt.reason
    FROM attempt JOIN delivery ON delivery.id = attempt.delivery WHERE outcome <> 'delivered' GROUP BY sink
    ON CONFLICT DO UPDATE SET last_failure = excluded.last_failure, last_reason = excluded.last_reason;
