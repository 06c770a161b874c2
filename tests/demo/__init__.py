"""The demo: a real app, a real receiver, an outage, and what came of each sign-in. ``python -m demo`` tells it."""
