-- When a person last made it due again: its schedule begins there. And the replays that are under way or were interrupted.
ALTER TABLE delivery ADD COLUMN replayed_at float8;
DROP INDEX delivery_schedule;
CREATE INDEX delivery_schedule ON delivery (sink, (first_try_at IS NULL), coalesce(first_try_at, replayed_at, stored_at))
    WHERE state = 'pending';
-- What is settled, by sink and state: to look at, to count, to replay. What is appended is in no need of it.
CREATE INDEX delivery_settled ON delivery (sink, state, sequence) INCLUDE (last_try_at) WHERE state <> 'pending';
CREATE INDEX delivery_failed ON delivery (sink, failed_at) WHERE failed_at IS NOT NULL;
-- The same, with what tells how old the oldest is.
DROP INDEX delivery_due;
CREATE INDEX delivery_due ON delivery (sink, tenant, due_at, id) INCLUDE (sequence) WHERE state = 'pending' AND NOT blocked;

CREATE TABLE replay (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    asked     text NOT NULL,
    target    text,
    selection text NOT NULL,
    by        text NOT NULL,
    began_at  float8 NOT NULL,
    since     float8 NOT NULL,
    seen_at   float8 NOT NULL
);

-- Of all events, by type, what one may ask for: it is read instead of them.
DROP INDEX event_type;
CREATE INDEX event_type ON event (type, sequence, tenant_id, correlation_id);

-- The dispatchers that run, and when each last said so. `leads` is a JSON list of sinks.
CREATE TABLE dispatcher (
    id       text PRIMARY KEY,
    host     text NOT NULL,
    pid      bigint NOT NULL,
    version  text NOT NULL,
    leads    text NOT NULL,
    began_at float8 NOT NULL,
    seen_at  float8 NOT NULL
);
