"""What the system knows of a process: its children, its threads, the files and sockets that it has open."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def threads(pid: int) -> int:
    """How many threads it has."""
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def open_files(pid: int) -> set[str]:
    """Paths, and ``socket:[…]`` for sockets, a name that no other socket has."""
    found = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):  # it has just been closed
            found.add(str(descriptor.readlink()))
    return found


def outbox_files(pid: int, folder: Path) -> set[str]:
    """The names of the outbox's files that it has open."""
    return {Path(path).name for path in open_files(pid) if path.startswith(f"{folder}/events.db")}


def sockets(pid: int) -> set[str]:
    """Its sockets."""
    return {name for name in open_files(pid) if name.startswith("socket:")}


def children(pid: int) -> list[int]:
    """The processes that it has started and that still run."""
    listed = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, IndexError):
            fields = status.read_text().rpartition(") ")[2].split()
            if int(fields[1]) == pid and fields[0] != "Z":
                listed.append(int(status.parent.name))
    return sorted(listed)


def leaders(pids: list[int], folder: Path, sink: str) -> list[int]:
    """Which of them lead the sink: only a leader keeps the file of its lead open."""
    leading = []
    for pid in pids:
        with suppress(OSError):
            if f"events.db-lead-{sink}" in outbox_files(pid, folder):
                leading.append(pid)
    return leading
