"""Connections that end where what is sent over them is no request: too slow, too long, or malformed.

uvicorn waits without end for the head of a request, however long that grows, and for the rest of a body whose request was
answered already. What it says of a malformed request is no document like all other refusals here.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from api.errors import problem_response
from api.headers import secured
from api.refusals import HeadTooLarge, Limit, MalformedHttp, RequestRefused

_LINGER_SECONDS = 1.0


def connections(*, seconds: float, max_bytes: int) -> type[asyncio.Protocol]:
    """The class for connections of which each request's head must be whole within so many seconds and bytes."""
    return type("Connection", (_Connection,), {"head_seconds": seconds, "max_head_bytes": max_bytes})


class _Connection(HttpToolsProtocol):
    """A connection that is closed when what is no request yet, or no more, goes on for too long."""

    head_seconds: float
    max_head_bytes: int
    _deadline: asyncio.TimerHandle | None = None
    _is_in_head = False
    _head_bytes = 0
    _refusal: RequestRefused | None = None
    _is_refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        self._set_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lift_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        was_in_head = self._is_in_head
        super().data_received(data)
        if was_in_head and self._is_in_head:  # the parser keeps what it has of a header, and copies it with each piece
            self._head_bytes += len(data)
            if self._head_bytes > self.max_head_bytes:
                self._refusal = head_too_large(self._head_bytes, self.max_head_bytes)
                self.send_400_response("")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_in_head, self._head_bytes = True, 0
        self._set_deadline()

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        self._lift_deadline()
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > self.max_head_bytes:
            self._refusal = head_too_large(size, self.max_head_bytes)
            raise self._refusal  # uvicorn answers as to whatever cannot be parsed
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Called by uvicorn for what cannot be parsed; with bytes unread, closing at once would lose the answer."""
        self._is_refused = True
        answer = problem_response(self._refusal or MalformedHttp())
        lines = [STATUS_LINE[answer.status_code]]
        lines += [name + b": " + value + b"\r\n" for name, value in secured(answer.raw_headers)]
        self.transport.write(b"".join([*lines, b"connection: close\r\n\r\n", bytes(answer.body)]))
        self.transport.write_eof()
        self.loop.call_later(_LINGER_SECONDS, self._close)

    def on_message_complete(self) -> None:
        if self.cycle.response_complete:
            self._lift_deadline()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        if self.cycle.more_body:  # it was refused unread; the rest of it is thrown away
            self._set_deadline()
        super().on_response_complete()

    def _set_deadline(self) -> None:
        self._lift_deadline()
        self._deadline = self.loop.call_later(self.head_seconds, self._close)

    def _lift_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _close(self) -> None:
        transport: Any = self.transport
        if not transport.is_closing():
            transport.close()


def head_too_large(observed: int, value: int) -> HeadTooLarge:
    """The refusal of a request whose head has more bytes than `value`."""
    limit = Limit(key="max_head_bytes", value=value, observed=observed, unit="bytes")
    return HeadTooLarge(f"The address and headers have {observed} bytes or more; at most {value} are allowed.", limit=limit)
