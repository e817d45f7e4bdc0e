"""Requests that the client sends beside its submissions, each again until it has its answer."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx


@dataclass(frozen=True, slots=True)
class _Errand:
    due: float
    send: Callable[[httpx.Client], bool]


class Errands:
    """Safe between threads; one of them calls `run` again and again."""

    def __init__(self) -> None:
        self._errands: list[_Errand] = []
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._errands)

    def add(self, send: Callable[[httpx.Client], bool], *, in_seconds: float = 0.0) -> None:
        """Call `send` until it says that it has its answer, for the first time after so long. It may raise httpx's errors."""
        with self._lock:
            self._errands.append(_Errand(time.monotonic() + in_seconds, send))

    def run(self, client: httpx.Client) -> None:
        """Send what is due, once."""
        for errand in [errand for errand in list(self._errands) if errand.due <= time.monotonic()]:
            if _is_answered(errand, client):
                with self._lock:
                    self._errands.remove(errand)


def _is_answered(errand: _Errand, client: httpx.Client) -> bool:
    try:
        return errand.send(client)
    except httpx.HTTPError:
        return False
