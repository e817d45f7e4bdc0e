"""Headers that every answer carries, so that a browser neither guesses, frames, shares nor runs what it was not meant to."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

RawHeaders = list[tuple[bytes, bytes]]

_ALWAYS: RawHeaders = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),  # for browsers that do not know frame-ancestors
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"vary", b"Authorization, X-API-Key"),
]
_NOWHERE = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
# The pages draw pictures that they have fetched with a key, which are blob: then.
PAGE_POLICY = (
    f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; {_NOWHERE}"
)
# Whatever a browser may take an answer for, nothing in it runs.
ANSWER_POLICY = f"default-src 'none'; sandbox; {_NOWHERE}"
_CACHE_FOR_ONE = b"private, no-cache"  # may be kept by who asked, and is asked for again
_FOR_PAGES, _FOR_ANSWERS = (
    [*_ALWAYS, (b"content-security-policy", policy.encode())] for policy in (PAGE_POLICY, ANSWER_POLICY)
)


class SecureHeaders:
    """ASGI middleware: adds them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""

        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = secured(list(message["headers"]))
            await send(message)

        await self._app(scope, receive, add if scope["type"] == "http" else send)


def secured(headers: RawHeaders) -> RawHeaders:
    """What an answer has already, of which none is among those that are always there, and the rest."""
    given = dict(headers)
    is_page = given.get(b"content-type", b"").startswith(b"text/html")
    added = _FOR_PAGES if is_page else _FOR_ANSWERS
    return [*headers, *added] if b"cache-control" in given else [*headers, *added, (b"cache-control", _CACHE_FOR_ONE)]
