"""An outbox in a PostgreSQL database, for many machines."""
