"""Room for uploads: refused before the body is read where there is none, so that nothing is half written and the rest of the
machine, Postgres first of all, keeps what it needs to go on.
"""

import shutil
import tempfile

from api.refusals import DiskFull, Limit
from store.blobs import Blobs


def require_room(blobs: Blobs, *, min_free_bytes: int, announced: int = 0, spools: bool = False) -> None:
    """Raises `DiskFull` when the disk would have fewer than `min_free_bytes` left after `announced` more.

    A form's files wait in the temporary folder until they are stored: `spools` looks there too. Object stores have room.
    """
    free = [blobs.free_bytes(), shutil.disk_usage(tempfile.gettempdir()).free if spools else None]
    least = min((found for found in free if found is not None), default=None)
    if least is not None and least - announced < min_free_bytes:
        raise disk_full(min_free_bytes, least)


def disk_full(min_free_bytes: int, free_bytes: int) -> DiskFull:
    """The refusal of an upload that would leave fewer bytes free than `min_free_bytes`."""
    limit = Limit(key="min_free_bytes", value=min_free_bytes, observed=free_bytes, unit="bytes")
    return DiskFull(
        f"The disk has {free_bytes} bytes free, of which {min_free_bytes} are kept; try again when there is more room.",
        limit=limit,
    )
