"""A way out to the internet that leads to no private address, and that takes no longer than it is given.

A name is resolved once; every address is checked, and the connection goes to one of those that were checked, so a name server
that answers differently the next time is not asked. Host header, SNI and certificate are still those of the name.
"""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import Any

import httpcore

from store.addresses import Address, Network, check_addresses, parse_address
from store.webhook_errors import AddressRefused

Resolve = Callable[[str, int], Sequence[str]]
"""The addresses of a host, each as text. Raises `OSError` or `UnicodeError`."""


def resolve(host: str, port: int) -> list[str]:
    """As the system's resolver says."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class GuardedBackend(httpcore.NetworkBackend):
    """Connects for httpcore, to addresses that are public or `allowed`, and until `deadline` on the monotonic clock."""

    def __init__(
        self, *, allowed: Iterable[Network], deadline: float, resolve: Resolve, inner: httpcore.NetworkBackend
    ) -> None:
        self._allowed, self._deadline, self._resolve, self._inner = tuple(allowed), deadline, resolve, inner

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """The first address that answers. Raises `AddressRefused` before any connection is made, and httpcore's errors."""
        texts = _resolve_in_time(self._resolve, host, port, seconds=_remaining(self._deadline))
        addresses = check_addresses(texts, self._allowed)
        for left in range(len(addresses), 0, -1):
            address = addresses[-left]
            try:
                stream = self._inner.connect_tcp(str(address), port, timeout=_remaining(self._deadline) / left)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if left == 1:
                    raise
                continue
            _refuse_other_peer(stream, address)
            return _DeadlineStream(stream, self._deadline)
        raise AssertionError("check_addresses gives at least one")

    def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore.NetworkStream:
        """Raises `AddressRefused`."""
        raise AddressRefused(AddressRefused.__doc__)


def _resolve_in_time(resolve: Resolve, host: str, port: int, *, seconds: float) -> Sequence[str]:
    """The system's resolver knows no deadline: a thread asks it, which nobody waits for longer. Raises httpcore's errors."""
    answer: Future[Sequence[str]] = Future()

    def ask() -> None:
        try:
            answer.set_result(resolve(host, port))
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=ask, name="resolve", daemon=True).start()
    try:
        return answer.result(seconds)
    except TimeoutError as error:
        raise httpcore.ConnectTimeout("the host's name was not resolved in time") from error
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError("the host's name could not be resolved") from error


def _refuse_other_peer(stream: httpcore.NetworkStream, address: Address) -> None:
    """Something between us and the network may lead elsewhere. Raises `AddressRefused`."""
    peer = str(stream.get_extra_info("server_addr")[0])
    if parse_address(peer) != address:
        stream.close()
        raise AddressRefused(AddressRefused.__doc__)


def _remaining(deadline: float) -> float:
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise httpcore.ReadTimeout("the time is over")
    return seconds


class _DeadlineStream(httpcore.NetworkStream):
    """Each wait is as long as there is time left, so a receiver that sends a byte now and then gets no more of it."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: float) -> None:
        self._inner, self._deadline = inner, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _remaining(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _remaining(self._deadline))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        secured = self._inner.start_tls(ssl_context, server_hostname, _remaining(self._deadline))
        return _DeadlineStream(secured, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
