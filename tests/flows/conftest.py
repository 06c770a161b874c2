"""What flows need beside the harness."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from flows.harness import Flow, World, playing


@pytest.fixture
def world(core, tmp_path) -> Iterator[Callable[..., World]]:
    """Starts the SDK: ``world(recipes, entry)``; it ends with the test."""
    with ExitStack() as stack:
        yield lambda recipes, entry="api", **how: stack.enter_context(playing(core, tmp_path, recipes, entry, **how))


@pytest.fixture
def play(world) -> Callable[[Flow, str], World]:
    """Plays a flow, and returns its world with the events that it brought."""

    def played(flow: Flow, entry: str) -> World:
        w = world(flow.recipes, entry, capture={"events": list(flow.captured)})
        for step in flow.given:
            step(w)
        w.mark()
        flow.when(w)
        return w

    return played
