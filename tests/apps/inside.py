"""What an app's own code can see of capture while it runs: nothing, once the SDK has done its part."""

from __future__ import annotations

from supertokens_events.capture.scope import _frames, current_request


def what_is_left() -> dict[str, bool]:
    """Whether a context variable of ours is still set: the request of somebody before, or a call that has ended."""
    return {"request": current_request() is not None, "frames": bool(_frames.get())}
