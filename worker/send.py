"""Send one signed webhook and say what came of it. Redirects are not followed, and no proxy of the environment is asked."""

import json
import math
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import httpcore
from standardwebhooks import Webhook

from store.addresses import Network
from store.deliveries import Outcome
from store.http_dates import parse_http_date
from store.settings import Settings
from store.targets import Target, parse_target
from store.webhook_errors import WebhookRefused
from worker.guarded import GuardedBackend, Resolve, resolve

_USER_AGENT = f"penpress/{version('penpress')}"
_MAX_ANSWER_BYTES = 16 * 1024  # of which nothing is used; it is read so that a receiver can finish what it does


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent: the same bytes are signed and sent."""

    body: bytes
    headers: Mapping[str, str]

    @classmethod
    def signed(cls, event_id: str, payload: Mapping[str, Any], *, secrets: tuple[str, ...], now: datetime) -> "Message":
        """By Standard Webhooks 1.0.0, with a signature for each of the secrets, of which there are two during a rotation."""
        body = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
        # The package calls any time UTC, whatever its zone.
        signatures = [Webhook(secret).sign(event_id, now.astimezone(UTC), body) for secret in secrets]
        headers = {
            "content-type": "application/json",
            "user-agent": _USER_AGENT,
            "webhook-id": event_id,
            "webhook-timestamp": str(math.floor(now.timestamp())),
            "webhook-signature": " ".join(signatures),
        }
        return cls(body.encode(), headers)


def trusting_context() -> ssl.SSLContext:
    """Authorities that the world trusts, and those that this machine does."""
    context = httpcore.default_ssl_context()
    context.load_default_certs()
    return context


@dataclass(frozen=True, slots=True)
class Sender:
    """How messages leave: where they may go, and how long one may take in all."""

    timeout_seconds: float
    http_allowed: bool
    allowed: tuple[Network, ...]
    resolve: Resolve = resolve
    network: httpcore.NetworkBackend = field(default_factory=httpcore.SyncBackend)
    context: ssl.SSLContext = field(default_factory=trusting_context)

    @classmethod
    def from_settings(cls, settings: Settings) -> "Sender":
        """As the operator allows."""
        return cls(
            timeout_seconds=settings.webhook_timeout_seconds,
            http_allowed=settings.webhook_http_allowed,
            allowed=settings.webhook_allowed,
        )

    def send(self, url: str, message: Message) -> Outcome:
        """The receiver's status, or why there is none."""
        started = time.monotonic()
        try:
            target = parse_target(url, http_allowed=self.http_allowed)
            status, retry_after = self._post(target, message, deadline=started + self.timeout_seconds)
        except WebhookRefused as error:
            return Outcome(_since(started), error=str(error))
        except httpcore.TimeoutException:
            return Outcome(_since(started), error=f"There was no answer within {self.timeout_seconds:g} s.")
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            return Outcome(_since(started), error=f"There was no answer: {error}.")
        fault = _fault(status)
        return Outcome(_since(started), status, fault, _seconds(retry_after) if fault else None)

    def _post(self, target: Target, message: Message, *, deadline: float) -> tuple[int, str | None]:
        """Status and `Retry-After`."""
        backend = GuardedBackend(allowed=self.allowed, deadline=deadline, resolve=self.resolve, inner=self.network)
        url = httpcore.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path)
        headers = {"host": target.host_header, "content-length": str(len(message.body)), **message.headers}
        with (
            httpcore.ConnectionPool(ssl_context=self.context, network_backend=backend, max_connections=1) as connections,
            connections.stream("POST", url, headers=list(headers.items()), content=message.body) as response,
        ):
            _read_some(response)
            found = {name.lower(): value.decode("latin-1") for name, value in response.headers}
            return response.status, found.get(b"retry-after")


def _read_some(response: httpcore.Response) -> None:
    """The status has said what became of it; a body that drips, breaks off or never ends changes nothing."""
    size = 0
    try:
        for piece in response.iter_stream():
            size += len(piece)
            if size > _MAX_ANSWER_BYTES:
                return
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError):
        return


def _since(started: float) -> int:
    return round(1000 * (time.monotonic() - started))


def _fault(status: int) -> str | None:
    if 200 <= status < 300:
        return None
    return f"It answered {status}; redirects are not followed." if 300 <= status < 400 else f"It answered {status}."


def _seconds(retry_after: str | None) -> float | None:
    """Of a number of seconds or a date; None for anything else."""
    if retry_after is None:
        return None
    if retry_after.strip().isascii() and retry_after.strip().isdigit():
        return float(retry_after.strip()[:10])
    until = parse_http_date(retry_after)
    return None if until is None else max(0.0, (until - datetime.now(UTC)).total_seconds())
