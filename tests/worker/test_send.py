import base64
import hmac
import json
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import httpcore
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from store.addresses import parse_networks
from tests.store.test_addresses import ODD_SPELLINGS, PRIVATE_LITERALS
from tests.worker.certificates import write_certificate
from tests.worker.receiver import Answer, answering, dripping, hanging, receiving
from worker.send import Message, Sender, trusting_context

SECRET = "whsec_" + base64.b64encode(b"a" * 24).decode()
OLD_SECRET = "whsec_" + base64.b64encode(b"b" * 24).decode()
TRUST = trusting_context()
LOOPBACK = parse_networks("127.0.0.0/8 ::1")
PAYLOAD = {"type": "job.completed", "timestamp": "2026-11-25T12:00:00+00:00", "data": {"name": "Briefe 1890, Böhmen"}}


def message(*secrets: str, now: datetime | None = None) -> Message:
    return Message.signed("event-1", PAYLOAD, secrets=secrets or (SECRET,), now=now or datetime.now(UTC))


def sender(**changes: Any) -> Sender:
    values: dict[str, Any] = {"timeout_seconds": 5.0, "http_allowed": True, "allowed": LOOPBACK, "context": TRUST}
    return Sender(**values | changes)


class Recorder(httpcore.NetworkBackend):
    """A network that notes where somebody wanted to go, and lets nobody."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def connect_tcp(self, host: str, port: int, *_: Any, **__: Any) -> httpcore.NetworkStream:
        self.asked.append(host)
        raise httpcore.ConnectError("refused")


class Rebinding:
    """A name server that gives other addresses each time it is asked, the last ones for ever."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers, self.asked = list(answers), 0

    def __call__(self, _host: str, _port: int) -> Sequence[str]:
        self.asked += 1
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


def test_the_package_verifies_what_a_receiver_gets() -> None:
    with receiving() as receiver:
        outcome = sender().send(receiver.url(), message())
    assert (outcome.is_success, outcome.status, outcome.error) == (True, 204, None)
    assert Webhook(SECRET).verify(receiver.bodies[0], receiver.headers[0]) == PAYLOAD
    assert receiver.headers[0]["host"] == f"127.0.0.1:{receiver.port}"
    assert receiver.headers[0]["webhook-id"] == "event-1"
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(receiver.bodies[0].replace(b"completed", b"failed"), receiver.headers[0])
    with pytest.raises(WebhookVerificationError):
        Webhook(OLD_SECRET).verify(receiver.bodies[0], receiver.headers[0])


def test_during_a_rotation_either_secret_verifies() -> None:
    signed = message(SECRET, OLD_SECRET)
    for secret in (SECRET, OLD_SECRET):
        assert Webhook(secret).verify(signed.body, dict(signed.headers)) == PAYLOAD


def test_the_signature_is_that_of_the_specification_in_any_time_zone() -> None:
    now = datetime(2026, 11, 25, 14, 0, 0, 900_000, tzinfo=timezone(timedelta(hours=2)))
    signed = message(now=now)
    assert signed.headers["webhook-timestamp"] == "1795608000"
    content = b"event-1.1795608000." + signed.body
    expected = base64.b64encode(hmac.digest(b"a" * 24, content, "sha256")).decode()
    assert signed.headers["webhook-signature"] == f"v1,{expected}"
    assert json.loads(signed.body) == PAYLOAD


@pytest.mark.parametrize(
    ("answer", "status", "error", "retry_after"),
    [
        (answering(200), 200, None, None),
        (answering(410), 410, "It answered 410.", None),
        (answering(503, Retry_After="120"), 503, "It answered 503.", 120.0),
        (answering(429, Retry_After="soon"), 429, "It answered 429.", None),
        (answering(503, Retry_After="Mon, 01 Jan 2024 00:00:00 GMT"), 503, "It answered 503.", 0.0),
        (answering(503, Retry_After="9" * 4000), 503, "It answered 503.", 9_999_999_999.0),
    ],
)
def test_the_receivers_answer_is_the_outcome(answer: Answer, status: int, error: str | None, retry_after: float | None) -> None:
    with receiving(answer) as receiver:
        outcome = sender().send(receiver.url(), message())
    assert (outcome.status, outcome.error, outcome.retry_after_seconds) == (status, error, retry_after)
    assert outcome.is_success == (error is None)


def test_a_name_server_that_does_not_answer_takes_no_longer_than_the_attempt_may() -> None:
    released = threading.Event()

    def resolve(_host: str, _port: int) -> Sequence[str]:
        released.wait(5)
        return ["127.0.0.1"]

    started = time.monotonic()
    outcome = sender(resolve=resolve, timeout_seconds=0.2).send("http://slow.example/", message())
    released.set()
    assert time.monotonic() - started < 2
    assert outcome.error == "There was no answer within 0.2 s."


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_a_failure_and_not_followed(status: int) -> None:
    with receiving() as elsewhere, receiving(answering(status, Location=elsewhere.url())) as receiver:
        outcome = sender().send(receiver.url(), message())
    assert (outcome.is_success, elsewhere.connections) == (False, 0)
    assert outcome.error == f"It answered {status}; redirects are not followed."


@pytest.mark.parametrize(
    "answer",
    [
        hanging(threading.Event()),
        dripping(b"HTTP/1.1 200 OK\r\nX-Slow: ", times=100),
        dripping(b"", b"HTTP/1.1 102 Processing\r\n\r\n", times=100),
    ],
)
def test_an_attempt_takes_no_longer_than_it_may_however_it_is_drawn_out(answer: Answer) -> None:
    with receiving(answer) as receiver:
        started = time.monotonic()
        outcome = sender(timeout_seconds=0.4).send(receiver.url(), message())
        assert time.monotonic() - started < 2.5
    assert (outcome.status, outcome.error) == (None, "There was no answer within 0.4 s.")


@pytest.mark.parametrize(
    "answer",
    [
        dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", times=100),
        dripping(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536, seconds=0, times=200),
        dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", times=1),
    ],
)
def test_a_body_that_drips_or_floods_or_breaks_off_changes_nothing(answer: Answer) -> None:
    with receiving(answer) as receiver:
        started = time.monotonic()
        assert sender(timeout_seconds=0.4).send(receiver.url(), message()).is_success
        assert time.monotonic() - started < 2.5


@pytest.mark.parametrize("answer", [dripping(b"this is not HTTP\r\n\r\n", times=0), lambda _handler: None])
def test_a_receiver_that_speaks_no_http_is_a_failure(answer: Answer) -> None:
    with receiving(answer) as receiver:
        outcome = sender().send(receiver.url(), message())
    assert outcome.status is None
    assert outcome.error
    assert outcome.error.startswith("There was no answer: ")


def test_no_spelling_of_a_private_address_is_connected_to() -> None:
    hosts = [*PRIVATE_LITERALS, *ODD_SPELLINGS]
    assert len(hosts) >= 60
    network = Recorder()
    guarded = sender(allowed=(), network=network)
    outcomes = [guarded.send(f"http://{host}/", message()) for host in hosts]
    assert network.asked == []
    assert [outcome.is_success for outcome in outcomes] == [False] * len(hosts)


def spellings_of(address: str) -> list[str]:
    """Hosts that the system's resolver takes for `address` without asking a name server."""
    found = []
    for host in [*PRIVATE_LITERALS, *ODD_SPELLINGS]:
        try:
            texts = socket.getaddrinfo(host.strip("[]"), 80, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        except (OSError, UnicodeError):
            continue
        if address in {entry[4][0] for entry in texts}:
            found.append(host)
    return found


@pytest.mark.parametrize(("listen", "at_least"), [("127.0.0.1", 8), ("::1", 2)])
def test_spellings_that_would_reach_this_machine_reach_nothing(listen: str, at_least: int) -> None:
    hosts = spellings_of(listen)
    guarded, open_to_all = sender(allowed=()), sender()
    with receiving(host=listen) as receiver:
        for host in hosts:
            guarded.send(receiver.url(host), message())
        assert receiver.connections == 0
        reached = [host for host in hosts if open_to_all.send(receiver.url(host), message()).is_success]
    assert len(reached) >= at_least  # where the network is allowed they do arrive, so the test would notice


def test_a_rebinding_name_server_leads_nowhere() -> None:
    network, names = Recorder(), Rebinding(["1.1.1.1"], ["127.0.0.1"])
    with receiving() as receiver:
        guarded = sender(allowed=(), resolve=names, network=network)
        guarded.send(receiver.url("hooks.example"), message())
        assert (names.asked, network.asked) == (1, ["1.1.1.1"])  # asked once, and what was checked was called
        real = sender(allowed=(), resolve=names)
        outcomes = [real.send(receiver.url("hooks.example"), message()) for _ in range(5)]
        mixed = sender(allowed=(), resolve=Rebinding(["1.1.1.1", "127.0.0.1"])).send(receiver.url("hooks.example"), message())
    assert receiver.connections == 0
    assert all("not public" in str(outcome.error) for outcome in [*outcomes, mixed])


def test_a_connection_that_ends_up_elsewhere_is_dropped_before_a_byte_is_sent() -> None:
    class Detour(httpcore.SyncBackend):
        def connect_tcp(self, host: str, *arguments: Any, **options: Any) -> httpcore.NetworkStream:
            return super().connect_tcp("127.0.0.1", *arguments, **options)

    with receiving() as receiver:
        outcome = sender(resolve=Rebinding(["1.1.1.1"]), network=Detour()).send(receiver.url("hooks.example"), message())
    assert (outcome.is_success, receiver.bodies) == (False, [])
    assert "not public" in str(outcome.error)


def test_the_next_address_is_tried_where_one_does_not_answer() -> None:
    with receiving() as receiver:
        names = Rebinding(["127.0.0.2", "127.0.0.1"])
        assert sender(resolve=names).send(receiver.url("hooks.example"), message()).is_success


def test_a_name_without_address_is_a_failure() -> None:
    def unknown(_host: str, _port: int) -> Sequence[str]:
        raise OSError("Name or service not known")

    outcome = sender(resolve=unknown).send("http://hooks.example/", message())
    assert outcome.error == "There was no answer: the host's name could not be resolved."


def test_no_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as proxy, receiving() as receiver:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url())
        assert sender().send(receiver.url(), message()).is_success
    assert (proxy.connections, receiver.connections) == (0, 1)


def test_tls_is_for_the_name_although_the_connection_goes_to_the_address(tmp_path: Path) -> None:
    certificate = write_certificate(tmp_path, "hooks.example")
    names: list[str | None] = []
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    server.sni_callback = lambda _socket, name, _context: names.append(name)
    trusting = ssl.create_default_context(cafile=str(certificate))
    here = Rebinding(["127.0.0.1"])
    with receiving(wrap=lambda connection: wrapped(server, connection)) as receiver:
        url = f"https://hooks.example:{receiver.port}/hook"
        assert sender(resolve=here, context=trusting).send(url, message()).is_success
        assert receiver.headers[0]["host"] == f"hooks.example:{receiver.port}"
        other = sender(resolve=here, context=trusting).send(url.replace("hooks", "other"), message())
        distrusting = sender(resolve=here).send(url, message())
    assert names == ["hooks.example", "other.example", "hooks.example"]
    assert [len(receiver.bodies), other.status, distrusting.status] == [1, None, None]
    assert "certificate" in str(other.error)


def wrapped(context: ssl.SSLContext, connection: Any) -> Any:
    """With the handshake in the handler's thread, so that one that fails does not end the server."""
    return context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)


def test_http_is_refused_where_it_is_not_allowed_any_more() -> None:
    with receiving() as receiver:
        outcome = sender(http_allowed=False).send(receiver.url(), message())
    assert (receiver.connections, "must begin with https" in str(outcome.error)) == (0, True)


def test_many_at_once_do_not_disturb_each_other() -> None:
    shared, outcomes = sender(), []
    with receiving() as receiver:
        threads = [
            threading.Thread(target=lambda: outcomes.append(shared.send(receiver.url(), message()).is_success))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert outcomes == [True] * 8
