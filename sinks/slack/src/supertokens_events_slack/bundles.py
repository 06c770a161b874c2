"""Which deliveries go into one message: those for one channel, and of those, on request, the ones that belong to one thread."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from supertokens_events.sink import Delivery
from supertokens_events.subscription import Patterns
from supertokens_events_slack.fields import document_of
from supertokens_events_slack.fields import field as field_of

__all__ = ["Bundle", "Bundler", "Rule", "ThreadKey"]

ThreadKey = Literal["user", "correlation"]

_THREADS = 5  # of one channel in one call: a burst that touches more of them is one message about all the others


@dataclass(frozen=True, slots=True)
class Rule:
    """Where events of these types go."""

    patterns: Patterns
    channel: str


@dataclass(frozen=True, slots=True)
class Bundle:
    """What one message is about. ``places`` says which deliveries of the call these are; ``channel`` ``None``: the webhook's."""

    channel: str | None
    thread: str | None
    places: Sequence[int]
    deliveries: Sequence[Delivery] = field(repr=False)
    refused: str | None = None
    """Why Slack took no message about these and others, if there was one."""

    def halves(self, refused: str) -> list[Bundle]:
        """Two bundles of what is in this one, which has at least two deliveries."""
        middle = len(self.places) // 2
        return [
            replace(self, places=self.places[part], deliveries=self.deliveries[part], refused=refused)
            for part in (slice(middle), slice(middle, None))
        ]


class Bundler:
    """``channel`` is where events go for which no rule is; the first rule that matches counts. ``begun`` says whether there is
    such a thread already.
    """

    def __init__(
        self,
        channel: str | None,
        rules: Sequence[Rule],
        threads: ThreadKey | None,
        begun: Callable[[str | None, str], bool],
    ) -> None:
        self._channel = channel
        self._rules = rules
        self._threads = threads
        self._begun = begun

    def bundles(self, deliveries: Sequence[Delivery]) -> Iterator[Bundle]:
        """All of ``deliveries``, each in one bundle."""
        by_channel: dict[str | None, list[int]] = defaultdict(list)
        for place, delivery in enumerate(deliveries):
            by_channel[self._channel_of(delivery)].append(place)
        for channel, places in by_channel.items():
            for thread, together in self._by_thread(channel, places, deliveries):
                yield Bundle(channel, thread, together, [deliveries[place] for place in together])

    def _channel_of(self, delivery: Delivery) -> str | None:
        found = (rule.channel for rule in self._rules if rule.patterns.matches(delivery.event_type))
        return next(found, self._channel)

    def _by_thread(
        self, channel: str | None, places: Sequence[int], deliveries: Sequence[Delivery]
    ) -> Iterator[tuple[str | None, Sequence[int]]]:
        by_key: dict[str | None, list[int]] = defaultdict(list)
        for place in places:
            by_key[self._key_of(deliveries[place])].append(place)
        keys = sorted((key for key in by_key if key is not None), key=lambda key: not self._begun(channel, key))
        own = keys[:_THREADS]
        for key in own:
            yield key, by_key[key]
        if others := sorted(place for key, places in by_key.items() if key not in own for place in places):
            yield None, others

    def _key_of(self, delivery: Delivery) -> str | None:
        if self._threads is None:
            return None
        key = delivery.user_id if self._threads == "user" else field_of(document_of(delivery), "correlation_id")
        return key if isinstance(key, str) and key else None
