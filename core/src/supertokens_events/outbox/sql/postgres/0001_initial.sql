-- Everything lies in a schema of its own, which is the search path here. Times are seconds since the epoch, by this clock:
-- the server's, the same all through a statement.
CREATE FUNCTION clock() RETURNS float8 LANGUAGE sql STABLE
    RETURN extract(epoch FROM statement_timestamp())::float8;

-- One row per fact about the store itself: schema_version, the last sequence given, and a number that no other store has.
-- Whoever appends holds the row of the sequence until it commits, so sequences have no gaps and show in their order.
CREATE TABLE meta (
    key   text PRIMARY KEY,
    value bigint NOT NULL
) WITH (fillfactor = 10, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_scale_factor = 0);

-- What happened. The skeleton stays when the payload is erased (payload NULL).
CREATE TABLE event (
    sequence       bigint PRIMARY KEY,
    id             text NOT NULL UNIQUE,
    type           text NOT NULL,
    timestamp      text NOT NULL,
    tenant_id      text,
    user_id        text,
    correlation_id text,
    stored_at      float8 NOT NULL,
    payload        bytea
);
CREATE INDEX event_user ON event (user_id, sequence) WHERE user_id IS NOT NULL;
CREATE INDEX event_stored ON event (stored_at);
CREATE INDEX event_type ON event (type, sequence);
CREATE INDEX event_deleted ON event (sequence) WHERE type = 'user.deleted' AND payload IS NOT NULL;

-- One event on its way to one sink. `fence` counts claims, `tries` the tries, `used` the attempts that were used up.
-- `held_until` is when the lease of whoever holds it ends, NULL when it was settled or released since.
-- `line` is its sink and ordering key in one: no other index can be taken for the one that leads to who is first in it.
-- `blocked`: an earlier one of its line was seen to be pending; it is taken away when that one is settled for good.
CREATE TABLE delivery (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sequence     bigint NOT NULL REFERENCES event (sequence),
    sink         text NOT NULL,
    state        text NOT NULL CHECK (state IN ('pending', 'done', 'dead', 'skipped')),
    tenant       text NOT NULL,
    line         text,
    blocked      boolean NOT NULL DEFAULT false,
    stored_at    float8 NOT NULL,
    due_at       float8 NOT NULL,
    held_until   float8,
    first_try_at float8,
    last_try_at  float8,
    failed_at    float8,
    fence        integer NOT NULL DEFAULT 0,
    tries        integer NOT NULL DEFAULT 0,
    used         integer NOT NULL DEFAULT 0,
    reason       text,
    failure      text,
    UNIQUE (sequence, sink)
);
-- What a claim reads: only what is pending is in it, so its size follows the backlog and not the history.
CREATE INDEX delivery_due ON delivery (sink, tenant, due_at, id) WHERE state = 'pending' AND NOT blocked;
CREATE INDEX delivery_line ON delivery (line, sequence) WHERE state = 'pending' AND line IS NOT NULL;
CREATE INDEX delivery_schedule ON delivery (sink, (first_try_at IS NULL), coalesce(first_try_at, stored_at))
    WHERE state = 'pending';
CREATE INDEX delivery_dead ON delivery (sequence) WHERE state = 'dead';

-- One try. `detail` is a small JSON object that the sink gave: text, since jsonb knows no NUL.
CREATE TABLE attempt (
    delivery   bigint NOT NULL,
    number     integer NOT NULL,
    started_at float8 NOT NULL,
    duration   float8 NOT NULL,
    outcome    text NOT NULL,
    reason     text,
    detail     text NOT NULL DEFAULT '{}',
    PRIMARY KEY (delivery, number)
);

-- The open breakers.
CREATE TABLE breaker (
    sink          text PRIMARY KEY,
    open_since    float8 NOT NULL,
    failing_since float8 NOT NULL,
    probe_at      float8 NOT NULL,
    probes        integer NOT NULL DEFAULT 0,
    reason        text NOT NULL
);

-- Counts of everything that did not become a delivery, and of every failure of ours, by reason.
CREATE TABLE ledger (
    reason     text NOT NULL,
    subject    text NOT NULL,
    event_type text NOT NULL,
    count      bigint NOT NULL,
    first_at   float8 NOT NULL,
    last_at    float8 NOT NULL,
    PRIMARY KEY (reason, subject, event_type)
);

-- Every delivery is updated a few times and then never again: clean up early, a little at a time.
ALTER TABLE delivery SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);

INSERT INTO meta (key, value) VALUES ('sequence', 0), ('identity', (random() * 4611686018427387904)::bigint);
