"""A real receiver of webhooks on this machine, that answers as a test wants it to."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Receiver:
    """What came, in order; `connections` counts those that brought no request too."""

    port: int = 0
    connections: int = 0
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers in self.headers]

    def url(self, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}/hook"


Answer = Callable[[BaseHTTPRequestHandler], None]


def answering(status: int, **headers: str) -> Answer:
    """At once and without a body; `_` in a header's name stands for `-`."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


TAKEN = answering(204)


def dripping(start: bytes, piece: bytes = b"x", *, seconds: float = 0.05, times: int = 200) -> Answer:
    """`start`, and then `piece` again and again."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(start)
        for _ in range(times):
            handler.wfile.write(piece)
            time.sleep(seconds)

    return answer


def hanging(released: threading.Event) -> Answer:
    """Not before `released` is set, or half a minute has passed."""

    def answer(_handler: BaseHTTPRequestHandler) -> None:
        released.wait(30)

    return answer


@contextmanager
def receiving(answer: Answer = TAKEN, *, host: str = "127.0.0.1", wrap: Any = None) -> Iterator[Receiver]:
    """A receiver for the length of the block. `wrap` puts TLS around its socket."""
    receiver, lock = Receiver(), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = int(self.headers["content-length"])
            body = self.rfile.read(size)
            if len(body) < size:
                return  # whoever sent it was killed meanwhile
            with lock:
                receiver.times.append(time.monotonic())
                receiver.bodies.append(body)
                receiver.headers.append({name.lower(): value for name, value in self.headers.items()})
            answer(self)

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        daemon_threads = True
        block_on_close = False
        request_queue_size = 64

        def get_request(self) -> tuple[Any, Any]:
            connection, address = super().get_request()
            receiver.connections += 1
            return (wrap(connection) if wrap else connection), address

        def handle_error(self, *_: Any) -> None:
            pass  # the sender goes away when its time is over

    with Server((host, 0), Handler) as server:
        receiver.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
