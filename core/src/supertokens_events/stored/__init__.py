"""Sinks that are made through the API: kept in the outbox, followed by every process, changed by typed functions.

Nothing here knows of HTTP. What is secret in a stored sink is a reference, or encrypted with a key from the configuration.
"""
