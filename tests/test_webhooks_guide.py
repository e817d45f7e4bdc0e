"""The receiver that docs/webhooks.md shows really receives."""

import base64
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import HTTPServer
from pathlib import Path
from typing import Any

import pytest

from store.addresses import parse_networks
from worker.send import Message, Sender

GUIDE = Path(__file__).parent.parent / "docs/webhooks.md"
SECRET = "whsec_" + base64.b64encode(b"a" * 24).decode()
PAYLOAD = {"type": "job.completed", "data": {"id": "1", "counts": {"total": 2}}}


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
    (code,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    names: dict[str, Any] = {"__name__": "receiver"}
    exec(compile(code, str(GUIDE), "exec"), names)
    with HTTPServer(("127.0.0.1", 0), names["Receiver"]) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_the_guides_receiver_takes_what_we_sign_once_and_nothing_else(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    sender = Sender(timeout_seconds=5, http_allowed=True, allowed=parse_networks("127.0.0.0/8"))
    good = Message.signed("event-1", PAYLOAD, secrets=(SECRET,), now=datetime.now(UTC))
    forged = Message(good.body.replace(b'"1"', b'"2"'), good.headers)
    old = Message.signed("event-2", PAYLOAD, secrets=(SECRET,), now=datetime(2020, 1, 1, tzinfo=UTC))
    assert [sender.send(url, message).status for message in (good, forged, good, old)] == [204, 401, 204, 401]
    assert capsys.readouterr().out == "job.completed 1 {'total': 2}\n"
