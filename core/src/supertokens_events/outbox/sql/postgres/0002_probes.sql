-- What the last probe brought back, as a small JSON object that the sink gave; `probes` counts those that have failed.
ALTER TABLE breaker ADD COLUMN detail text NOT NULL DEFAULT '{}';
UPDATE breaker SET probes = probes + 1;
