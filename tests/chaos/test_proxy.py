import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.proxy import Proxy

SOON, NOT_YET = 5.0, 0.15


@pytest.fixture
def echo(tmp_path: Path) -> Iterator[Path]:
    """A service that answers each byte with itself."""
    path = tmp_path / "echo.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

        def answer(connection: socket.socket) -> None:
            with connection:
                while data := connection.recv(100):
                    connection.sendall(data)

        threading.Thread(target=serve, daemon=True).start()
        yield path
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy(echo: Path) -> Iterator[Proxy]:
    proxy = Proxy(echo)
    yield proxy
    proxy.close()


@pytest.fixture
def client(proxy: Proxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=SOON) as client:
        yield client


def test_bytes_pass(client: socket.socket) -> None:
    client.sendall(b"a")
    assert client.recv(1) == b"a"


def test_a_black_hole_keeps_bytes_until_it_ends(client: socket.socket, proxy: Proxy) -> None:
    client.sendall(b"a")
    assert client.recv(1) == b"a"
    proxy.hold()
    time.sleep(0.05)  # the loop's thread has heard of it
    client.sendall(b"b")
    client.settimeout(NOT_YET)
    with pytest.raises(TimeoutError):
        client.recv(1)
    proxy.release()
    client.settimeout(SOON)
    assert client.recv(1) == b"b"


def test_a_reset_ends_every_connection(client: socket.socket, proxy: Proxy) -> None:
    client.sendall(b"a")
    client.recv(1)
    proxy.reset()
    with pytest.raises(ConnectionResetError):
        client.recv(1)


def test_slowness_delays_each_way(client: socket.socket, proxy: Proxy) -> None:
    proxy.slow(0.1)
    began = time.monotonic()
    client.sendall(b"a")
    client.recv(1)
    assert time.monotonic() - began >= 0.2


def test_a_service_that_is_away_resets(tmp_path: Path) -> None:
    proxy = Proxy(tmp_path / "nobody.sock")
    with pytest.raises(ConnectionResetError), socket.create_connection(("127.0.0.1", proxy.port), timeout=SOON) as client:
        client.recv(1)
    proxy.close()
