"""Which file system a path is on: SQLite's locks and shared memory hold on a machine's own disks, not over a network."""

from __future__ import annotations

import os
import re
from pathlib import Path

__all__ = ["file_system_here", "file_system_of", "is_network", "network_file_system"]

_MOUNTS = Path("/proc/self/mountinfo")
# Not 9p: it is also the root of sandboxes that run on one machine. What is not known is allowed.
_NETWORK = frozenset(
    {
        "acfs",
        "afs",
        "auristorfs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "davfs",
        "gfs",
        "gfs2",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs3",
        "nfs4",
        "ocfs2",
        "orangefs",
        "panfs",
        "pvfs2",
        "smb",
        "smb2",
        "smb3",
        "smbfs",
        "vboxsf",
        "wekafs",
    }
)
_NETWORK_FUSE = frozenset(
    {
        "afs",
        "beegfs",
        "ceph",
        "davfs",
        "davfs2",
        "gcsfuse",
        "glusterfs",
        "goofys",
        "juicefs",
        "mfs",
        "mount-s3",
        "moosefs",
        "rclone",
        "s3fs",
        "seaweedfs",
        "smbnetfs",
        "sshfs",
        "weed",
    }
)


def file_system_of(path: Path, mountinfo: str) -> str | None:
    """The type of the file system that holds ``path`` (absolute, without links), such as ``ext4`` or ``nfs4``, by the text of
    ``/proc/self/mountinfo``; ``None`` when it says nothing about it.
    """
    found: tuple[int, str] | None = None
    for line in mountinfo.splitlines():
        mount, separator, source = line.partition(" - ")
        fields = mount.split()
        if not separator or len(fields) < 5 or not source.split():
            continue
        point = Path(_unescaped(fields[4]))
        # Later mounts cover earlier ones at the same place.
        if path.is_relative_to(point) and (found is None or len(point.parts) >= found[0]):
            found = len(point.parts), source.split()[0]
    return found and found[1]


def is_network(file_system: str) -> bool:
    """Whether a file system of this type is shared with other machines."""
    kind, _, name = file_system.lower().partition(".")
    return kind in _NETWORK or (kind == "fuse" and name in _NETWORK_FUSE)


def file_system_here(path: Path) -> str | None:
    """The type of the file system that ``path`` is on, where the system tells."""
    try:
        return file_system_of(
            Path(os.path.realpath(path)), _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
        )
    except OSError:
        return None


def network_file_system(path: Path) -> str | None:
    """The same if it is a network file system; else ``None``."""
    kind = file_system_here(path)
    return kind if kind and is_network(kind) else None


def _unescaped(text: str) -> str:
    """The kernel writes blanks and backslashes in octal."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
