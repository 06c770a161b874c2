"""Real processes on a real outbox, one of them killed every now and then, and afterwards a count of what came of it.

``python -m chaos sqlite`` and ``python -m chaos postgres``; what is killed is forked anew from a parent that has imported
everything and opened nothing.
"""

from chaos.play import Result, play

__all__ = ["Result", "play"]
