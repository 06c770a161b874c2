"""The demo: a real app, four sinks, an outage, and what came of each sign-in. ``python -m demo`` tells it."""
