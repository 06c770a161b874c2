"""``python -m supertokens_events``: the command line without its script."""

from supertokens_events.cli import main

main()
