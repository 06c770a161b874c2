"""Capture: which result of which SDK function is which event. One module per recipe; only ``rebind`` wraps, only this
package imports the SDK.
"""

from supertokens_events.capture.attach import RECIPES, instrument, make_plugin

__all__ = ["RECIPES", "instrument", "make_plugin"]
