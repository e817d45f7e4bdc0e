"""A receiver of webhooks, as a client would write one: it verifies each call and notes in the client's log what it was told."""

import base64
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

from tests.chaos.log import Log


class Receiver:
    """Listens on 127.0.0.1 from the start. `secret` signs what comes to `url`."""

    def __init__(self, log: Log) -> None:
        self.secret = "whsec_" + base64.b64encode(os.urandom(32)).decode()
        self._log, self._verifier = log, Webhook(self.secret)
        self._told: set[str] = set()
        self._server = _Server(("127.0.0.1", 0), self)
        self.url = f"http://127.0.0.1:{self._server.server_port}/events"
        threading.Thread(target=self._server.serve_forever, name="receiver", daemon=True).start()

    def take(self, headers: dict[str, str], body: bytes) -> int:
        """The status that a call is answered with."""
        try:
            event = json.loads(json.dumps(self._verifier.verify(body, headers)))
        except WebhookVerificationError:
            self._log.note("forged")
            return 401
        job = event["data"]
        self._log.note("told", webhook=headers["webhook-id"], type=event["type"], job=job["id"], name=job["name"])
        self._told.add(job["id"])
        return 204

    def was_told_of(self, job_id: str) -> bool:
        """Whether the end of that job was told."""
        return job_id in self._told

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], receiver: Receiver) -> None:
        super().__init__(address, _Handler)
        self.receiver = receiver


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.send_response(self.server.receiver.take(headers, body))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing: the client's log has it."""
