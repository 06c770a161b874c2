"""Apps as people write them, on real servers: what the integration tests sign people in to."""
