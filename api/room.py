"""Room for uploads: refused before the body is read where there is none, so that nothing is half written and the rest of the
machine, Postgres first of all, keeps what it needs to go on.
"""

import os
import tempfile
from pathlib import Path

from api.refusals import DiskFull, Limit
from store.blobs import Blobs


def require_room(blobs: Blobs, *, min_free_bytes: int, to_store: int = 0, to_spool: int | None = None) -> None:
    """Raises `DiskFull` when a disk would have fewer than `min_free_bytes` left after what is still to be written.

    A form's files wait in the temporary folder until they are stored: `to_spool` looks there too, and where both are on one
    disk, that needs room for both. Object stores have room. It may wait for a disk: call it in a thread.
    """
    needs: dict[int, tuple[Path, int]] = {}
    spool = None if to_spool is None else Path(tempfile.gettempdir())
    for folder, more in ((blobs.folder(), to_store), (spool, to_spool or 0)):
        if folder is not None:
            device = folder.stat().st_dev
            needs[device] = (folder, more + needs.get(device, (folder, 0))[1])
    for folder, more in needs.values():
        free = _free_bytes(folder)
        if free - more < min_free_bytes:
            raise disk_full(min_free_bytes, free)


def _free_bytes(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def disk_full(min_free_bytes: int, free_bytes: int) -> DiskFull:
    """The refusal of an upload that would leave fewer bytes free than `min_free_bytes`."""
    limit = Limit(key="min_free_bytes", value=min_free_bytes, observed=free_bytes, unit="bytes")
    return DiskFull(
        f"The disk has {free_bytes} bytes free, of which {min_free_bytes} are kept; try again when there is more room.",
        limit=limit,
    )
