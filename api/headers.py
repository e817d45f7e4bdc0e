"""Headers that every answer carries, so that a browser neither guesses, frames, shares nor runs what it was not meant to."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",  # for browsers that do not know frame-ancestors
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_NOWHERE = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
# The pages draw pictures that they have fetched with a key, which are blob: then.
PAGE_POLICY = (
    f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; {_NOWHERE}"
)
# Whatever a browser may take an answer for, nothing in it runs.
ANSWER_POLICY = f"default-src 'none'; sandbox; {_NOWHERE}"
_CACHE_FOR_ONE = "private, no-cache"  # may be kept by who asked, and is asked for again


class SecureHeaders:
    """ASGI middleware: adds them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""

        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                secure(MutableHeaders(scope=message))
            await send(message)

        await self._app(scope, receive, add if scope["type"] == "http" else send)


def secure(headers: MutableHeaders) -> None:
    """Add them to those that an answer has already."""
    is_page = headers.get("content-type", "").startswith("text/html")
    headers.update(_ALWAYS)
    headers["Content-Security-Policy"] = PAGE_POLICY if is_page else ANSWER_POLICY
    headers.setdefault("Cache-Control", _CACHE_FOR_ONE)
    for name in ("Authorization", "X-API-Key"):
        headers.add_vary_header(name)
