"""Events as the Open Cybersecurity Schema Framework (OCSF) says them, for a SIEM."""

from __future__ import annotations

from supertokens_events_file.formats.ocsf.document import ocsf

__all__ = ["ocsf"]
