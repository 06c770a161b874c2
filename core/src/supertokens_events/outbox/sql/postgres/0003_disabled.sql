-- The sinks whose places want no more events. Their deliveries stay as they are, and are in no claim.
CREATE TABLE disabled (
    sink   text PRIMARY KEY,
    since  float8 NOT NULL,
    reason text NOT NULL
);
