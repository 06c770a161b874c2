"""Who may come in: whoever shows one of ``[server] api_keys``."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence

from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from supertokens_events.server.problems import problem_answer

__all__ = ["KeyGate"]


class KeyGate:
    """Lets a request through to ``app`` when it has ``Authorization: Bearer`` and one of the ``keys`` of the moment."""

    def __init__(self, app: ASGIApp, keys: Callable[[], Sequence[SecretStr]]) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._knows(Headers(scope=scope).get("authorization", "")):
            await self._app(scope, receive, send)
            return
        sentence = "an API key is needed: 'Authorization: Bearer' and one of [server] api_keys"
        answer = problem_answer(401, sentence, headers={"www-authenticate": "Bearer", "cache-control": "no-store"})
        await answer(scope, receive, send)

    def _knows(self, authorization: str) -> bool:
        """Compared with every key, each in the same time whatever is shown."""
        scheme, _, shown = authorization.partition(" ")
        digest = _digest(shown.strip())
        found = [hmac.compare_digest(digest, _digest(key.get_secret_value())) for key in self._keys()]
        return scheme.lower() == "bearer" and any(found)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
