"""Where unix sockets live: in the home, or, because their paths may have only about 107 characters, in a short folder of
the system's temporary one that is named after the home.
"""

import hashlib
import os
import re
import stat
import tempfile
from pathlib import Path

from penpress.errors import NoSocketFolder

# macOS allows 103 bytes; Postgres adds `/.s.PGSQL.5432` to the folder's path.
_FOLDER_BYTES = 88
# Postgres reads the folder from a comma-separated list, and both URLs carry it: no character that needs quoting.
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._+-]+")


def socket_folder(home: Path, service: str) -> Path:
    """The folder for the sockets of `service`, made if need be. Raises `NoSocketFolder`."""
    folder = home / "run" / service
    if not _is_suitable(folder):
        folder = _private_temporary_folder(home) / service
    if not _is_suitable(folder):
        raise NoSocketFolder(f"The path {folder} is too long for a unix socket; set TMPDIR to a shorter folder.")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _is_suitable(folder: Path) -> bool:
    return len(os.fsencode(folder)) <= _FOLDER_BYTES and _PLAIN_PATH.fullmatch(str(folder)) is not None


def _private_temporary_folder(home: Path) -> Path:
    name = hashlib.sha256(os.fsencode(home.resolve())).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"penpress-{name}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    # Anybody may have made a folder of that name in a shared place, to listen in.
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise NoSocketFolder(f"{folder} belongs to somebody else; remove it or set TMPDIR to another folder.")
    return folder
