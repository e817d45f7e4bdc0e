"""Bodies that hardly come: a client that sends a byte now and then holds a connection, and with many of them the service.

Only the time that the service waits for the client counts, never the time that it takes itself to store what came.
"""

import asyncio
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.refusals import BodyTooSlow, Limit


class PaceBodies:
    """ASGI middleware: refuses a body that for longer than `grace_seconds` stays behind `min_bytes_per_second`."""

    def __init__(self, app: ASGIApp, *, min_bytes_per_second: int, grace_seconds: float) -> None:
        self._app = app
        self._min_rate, self._grace_seconds = min_bytes_per_second, grace_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on. Raises `BodyTooSlow` where the application reads the body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(receive, self._min_rate, self._grace_seconds)

        async def close_if_slow(message: Message) -> None:
            if message["type"] == "http.response.start" and body.is_too_slow:
                message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        await self._app(scope, body.receive, close_if_slow)


class _Body:
    """A body as it arrives, with the time that its client has in hand: waiting spends it, bytes earn it back."""

    def __init__(self, receive: Receive, min_rate: int, grace_seconds: float) -> None:
        self._receive = receive
        self._min_rate, self._grace_seconds = min_rate, grace_seconds
        self._seconds_in_hand = grace_seconds
        self._is_whole = False
        self.is_too_slow = False

    async def receive(self) -> Message:
        """The next message; what comes after the body, such as that the client has gone, may take any time."""
        if self._is_whole:
            return await self._receive()
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._seconds_in_hand):
                message = await self._receive()
        except TimeoutError:
            self.is_too_slow = True
            raise _refusal(self._min_rate, self._grace_seconds) from None
        self._is_whole = not message.get("more_body", False)
        earned = len(message.get("body", b"")) / self._min_rate
        in_hand = self._seconds_in_hand - (time.monotonic() - started) + earned
        self._seconds_in_hand = max(0.0, min(in_hand, self._grace_seconds))
        return message


def _refusal(min_rate: int, grace_seconds: float) -> BodyTooSlow:
    limit = Limit(key="min_body_bytes_per_second", value=min_rate, unit="bytes per second")
    return BodyTooSlow(
        f"The body came too slowly: {min_rate} bytes per second are needed, with pauses of {grace_seconds:g} s at most.",
        limit=limit,
    )
