-- How long the hooks of plugins took, hour by hour: `bucket` is about how long, four to each doubling of a microsecond.
CREATE TABLE hook_time (
    hour     bigint NOT NULL,
    plugin   text NOT NULL,
    hook     text NOT NULL,
    bucket   integer NOT NULL,
    calls    bigint NOT NULL,
    failures bigint NOT NULL,
    total    float8 NOT NULL,
    longest  float8 NOT NULL,
    last_at  float8 NOT NULL,
    PRIMARY KEY (hour, plugin, hook, bucket)
);
