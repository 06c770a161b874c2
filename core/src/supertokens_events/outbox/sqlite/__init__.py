"""An outbox in one SQLite file, for one machine."""
