"""What a request carries, as one SHA-256: two requests are the same when their options and bodies are.

A client that builds a form anew draws another boundary between its parts. It is left out, so that the same files stay the same.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.types import Message, Receive

_BOUNDARY = re.compile(r'boundary="?([^";,\s]+)', re.IGNORECASE)
_PLACEHOLDER = b"\0boundary\0"


class Fingerprint:
    """Grows with the body; memory stays flat."""

    def __init__(self, kind: str, options: Mapping[str, Any], content_type: str = "") -> None:
        """`kind` says what is asked for, such as the method and the path."""
        self._hash = hashlib.sha256(repr((kind, sorted(options.items()))).encode())
        found = _BOUNDARY.search(content_type)
        self._boundary = found[1].encode("latin-1") if found else b""
        self._hash.update(content_type.split(";")[0].strip().lower().encode())
        self._tail = b""

    def update(self, data: bytes) -> None:
        """The body goes on with `data`."""
        if not self._boundary:
            self._hash.update(data)
            return
        text = (self._tail + data).replace(self._boundary, _PLACEHOLDER)
        kept = len(self._boundary) - 1  # a boundary may begin here and end in the next piece
        settled = max(0, len(text) - kept)
        self._hash.update(text[:settled])
        self._tail = text[settled:]

    def hexdigest(self) -> str:
        """Of everything so far."""
        whole = self._hash.copy()
        whole.update(self._tail)
        return whole.hexdigest()

    def watching(self, request: Request) -> Request:
        """The same request; what is read of its body is hashed on the way."""
        return Request(request.scope, self._watch(request.receive))

    def _watch(self, receive: Receive) -> Receive:
        async def watched() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                self.update(message.get("body", b""))
            return message

        return watched
