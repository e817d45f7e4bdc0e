"""uvicorn, with connections of ours and a stop that is announced before it begins.

On SIGTERM uvicorn stops listening at once, while whoever sends clients here still does; so first `/readyz` says 503 for a time.
"""

import logging
import signal
import socket
import sys
import time
from types import FrameType

from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.exc import SQLAlchemyError
from uvicorn import Config, Server

from api.app import create_app
from api.connections import connections
from api.keyring import Keyring
from api.refusals import KeysRequired
from store.database import Database
from store.loopback import is_loopback
from store.settings import Settings

_log = logging.getLogger(__name__)


def serve(settings: Settings) -> None:
    """Answer until SIGTERM or Ctrl-C. Raises `SystemExit` with a sentence where others would be answered without keys."""
    _demand_keys(settings)
    app = create_app(settings)
    config = Config(
        app,
        host=settings.host,
        port=settings.port,
        http=connections(seconds=settings.head_seconds, max_bytes=settings.max_head_bytes),
        access_log=False,  # clients poll, and a line for each poll says nothing
        timeout_graceful_shutdown=round(settings.shutdown_seconds),
    )
    AnnouncedStop(config, app, grace_seconds=settings.shutdown_grace_seconds).run()


def _demand_keys(settings: Settings) -> None:
    """While the database cannot be asked, requests are; see `api.locality`."""
    if is_loopback(settings.host):
        return
    database = Database.from_settings(settings, patience_seconds=settings.database_seconds)
    try:
        known = Keyring(database).has_keys()
    except SQLAlchemyError as error:
        _log.warning("nobody knows whether there are keys, so each request will ask: %s", error)
        return
    finally:
        database.close()
    if not known:
        sys.exit(f"{KeysRequired.__doc__} It was to listen on {settings.host}.")


class AnnouncedStop(Server):
    """A server that goes on for `grace_seconds` after SIGTERM; a second signal, or Ctrl-C, ends that."""

    def __init__(self, config: Config, app: FastAPI, *, grace_seconds: float) -> None:
        super().__init__(config)
        self._app, self._grace_seconds = app, grace_seconds
        self._stop_at: float | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Once requests are taken, start what the first image would wait for."""
        await super().startup(sockets)
        if self.started:
            await run_in_threadpool(self._app.state.services.predict_decoders.start)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Called for a signal, between any two steps of the event loop."""
        self._app.state.is_stopping = True
        if sig == signal.SIGTERM and self.started and self._stop_at is None:
            self._stop_at = time.monotonic() + self._grace_seconds
        else:
            super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        """Called ten times a second."""
        if self._stop_at is not None and time.monotonic() >= self._stop_at and not self.should_exit:
            super().handle_exit(signal.SIGTERM, None)
        return await super().on_tick(counter)
