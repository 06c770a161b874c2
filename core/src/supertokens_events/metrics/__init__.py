"""Metrics and traces, as plugins on the public hooks: ``metrics.prometheus`` (extra ``prometheus``) and
``metrics.opentelemetry`` (extra ``otel``).

Both know the same figures by the same names. What a process does is counted in it, from hooks; how the outbox stands is
asked of the outbox when somebody looks, by whoever is told to :meth:`watch` it.
"""
