"""Without keys the service is this machine's alone: whoever comes from elsewhere, or by a stranger's web page, is refused.

Looked at are the addresses of both ends of the connection, not what was asked to listen on: a server started as
`uvicorn --host 0.0.0.0` is as safe. A proxy on this machine would hide who calls, so what it adds to a request is refused too.
"""

from functools import lru_cache
from urllib.parse import urlsplit

from anyio.to_thread import run_sync
from starlette.types import ASGIApp, Receive, Scope, Send

from api.deps import Services
from api.errors import ANSWERS, problem_response
from api.refusals import KeysRequired, RequestRefused, UntrustedHost
from store.loopback import is_loopback

_PROXY_HEADERS = frozenset({b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip", b"via"})
_ALWAYS_ANSWERED = "/livez"  # says only that there is somebody; else an orchestrator would restart what waits for its first key


class OnlyThisMachineWithoutKeys:
    """ASGI middleware: while there is no key, refuse what is not plainly from this machine."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it 403, or 503 while nobody knows whether there are keys."""
        if scope["type"] != "http" or scope["path"] == _ALWAYS_ANSWERED:
            await self._app(scope, receive, send)
            return
        refusal = await _refusal(scope, scope["app"].state.services)
        answer = problem_response(refusal) if refusal else self._app
        await answer(scope, receive, send)


async def _refusal(scope: Scope, services: Services) -> Exception | None:
    if services.keyring.has_seen_keys:
        return None
    fault = fault_of(scope, services.settings.trusted_names)
    if fault is None:
        return None
    try:
        return None if await run_sync(services.keyring.has_keys) else fault
    except tuple(ANSWERS) as error:
        return error


def fault_of(scope: Scope, trusted: frozenset[str]) -> RequestRefused | None:
    """Why a request is not plainly from this machine, meant for it, and from a page of its own or none."""
    headers = dict(reversed(scope["headers"]))  # of several of one name, the first
    ends = (scope.get("client"), scope.get("server"))
    if not all(end and is_loopback(end[0]) for end in ends) or not _PROXY_HEADERS.isdisjoint(headers):
        return KeysRequired()
    hosts = [headers.get(b"host", b"").decode("latin-1")]
    if origin := headers.get(b"origin"):
        hosts.append(_authority(origin.decode("latin-1")))
    if not all(_is_trusted(host, trusted) for host in hosts):
        return UntrustedHost()
    return None


@lru_cache(maxsize=64)  # asked of every request, about the same few hosts
def _is_trusted(host_and_port: str, trusted: frozenset[str]) -> bool:
    host = _without_port(host_and_port)
    return is_loopback(host) or host.lower() in trusted


def _authority(origin: str) -> str:
    """Host and port of a page's origin; an empty text, which nobody trusts, where it is malformed."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _without_port(host: str) -> str:
    """The name or address in a Host header; an empty text, which nobody trusts, where it is malformed."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
