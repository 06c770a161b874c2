-- The sinks that were made through the API. `settings` is a JSON object, the sink's table without `type` and `enabled`; what is
-- secret in it is a reference, or encrypted. The last revision is in `meta`: it begins with the time, so that another database
-- never goes through the same ones.
CREATE TABLE sink (
    name       text PRIMARY KEY,
    type       text NOT NULL,
    settings   text NOT NULL,
    enabled    boolean NOT NULL,
    revision   bigint NOT NULL,
    created_at float8 NOT NULL,
    updated_at float8 NOT NULL
);
INSERT INTO meta (key, value) VALUES ('sinks', 1000 * extract(epoch FROM now())::bigint);
