"""Capture: which result of which SDK function is which event. One module per recipe; only ``rebind`` wraps, only this
package imports the SDK. Importing it raises ``ImportError`` with a sentence where the SDK is missing or too old.
"""

from supertokens_events.capture.installed import require_sdk

require_sdk()

from supertokens_events.capture.attach import RECIPES, instrument, make_plugin  # noqa: E402 - the check comes first

__all__ = ["RECIPES", "instrument", "make_plugin"]
