"""The parent's watch over its pool: whoever dies is noticed at once, and what it had in hand is given back by its lease.

A thread of Celery's main process. It connects to Postgres only when there is something to say, since the main process forks.
"""

import contextlib
import logging
import os
import queue
import signal
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from inference.deaths import describe, hung
from store import losses, lost_plans
from store.database import Database
from store.queue import CLASSIFY_CHUNK, PLAN_JOB, LateSender, Queue
from store.settings import Settings
from worker.held import Held, Move, held_chunk, held_plan
from worker.marks import IDLE, STARTING, Marked, ask_to_stop, read_marks
from worker.marks_folder import MarksFolder
from worker.suspicion import Suspicion

_POLL_SECONDS = 0.5
_IDLE_SECONDS = 2.0
_PATIENCE_SECONDS = 10.0
_NOUNS = {PLAN_JOB: "jobs", CLASSIFY_CHUNK: "items"}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Death:
    pid: int
    exit_code: int | None
    at: float


class Watch:
    """Watches the processes that leave their marks in `folder`; `end_worker` is called when the worker proves to be broken."""

    def __init__(self, settings: Settings, end_worker: Callable[[], None]) -> None:
        self._marks = MarksFolder()
        self.folder = self._marks.path
        self._settings, self._end_worker = settings, end_worker
        self._suspicions = {work: Suspicion(settings.broken_worker_crashes) for work in _NOUNS}
        self._news: queue.Queue[_Death] = queue.Queue()
        self._dead: list[_Death] = []
        self._gone: set[int] = set()
        self._killed: set[int] = set()
        self._pending: list[Held] = []
        self._done_by_dead: Counter[str] = Counter()
        self._idle_since: float | None = None
        self._renew_at = 0.0
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_broken(self) -> bool:
        """Whether the worker ends because it crashes whatever it takes."""
        return any(suspicion.is_broken for suspicion in self._suspicions.values())

    def start(self) -> None:
        """Watch from now on."""
        if self._thread is None:
            self._database = Database.from_settings(self._settings, pool_size=1, patience_seconds=_PATIENCE_SECONDS)
            self._sender = LateSender(Queue.from_settings(self._settings))
            self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
            self._thread.start()

    def note_death(self, pid: int, exit_code: int | None) -> None:
        """A process of the pool has ended."""
        self._news.put(_Death(pid, exit_code, time.monotonic()))

    def stop(self) -> None:
        """Give back what is still held, and watch no more; for the end, when every process of the pool is gone."""
        if self._thread is not None:
            self._ended.set()
            self._thread.join(_PATIENCE_SECONDS)
            self._attempt(self._report)
            self._attempt(self._judge)
            self._attempt(self._forgive_all)
            self._sender.close()
            self._database.close()
        self._marks.remove()

    def _run(self) -> None:
        while not self._ended.is_set():
            self._hear()
            for step in (self._look, self._report, self._judge, self._renew):
                self._attempt(step)
            self._database.close()

    def _attempt(self, step: Callable[[], None]) -> None:
        try:
            step()
        except SQLAlchemyError as error:
            _log.warning("lost work not given back, will try again: %s", error)
        except Exception:
            _log.exception("the watch over the pool failed, and goes on")

    def _hear(self) -> None:
        with contextlib.suppress(queue.Empty):
            self._dead.append(self._news.get(timeout=_POLL_SECONDS))
            while True:
                self._dead.append(self._news.get_nowait())

    def _look(self) -> None:
        """Find processes that hang, and deaths that nobody told of."""
        now, marks = time.monotonic(), read_marks(self.folder)
        known = {death.pid for death in self._dead}
        gone = {pid for pid in marks if pid not in known and not _is_there(pid)}
        for pid in gone & self._gone:  # not at the first sight: how it died is still on its way
            self._dead.append(_Death(pid, None, now))
        self._gone = gone
        for pid, marked in marks.items():
            if marked.since is not None and now - marked.since > self._settings.page_seconds + 2 * _POLL_SECONDS:
                self._kill(pid)
        is_idle = bool(marks) and all(marked.state == IDLE for marked in marks.values())
        self._idle_since = (self._idle_since or now) if is_idle else None

    def _kill(self, pid: int) -> None:
        if pid not in self._killed:
            _log.error("process %s hangs, and is ended", pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._killed.add(pid)

    def _report(self) -> None:
        for death in list(self._dead):
            path = self.folder / str(death.pid)
            marked = read_marks(self.folder).get(death.pid)
            if marked is not None and marked.state != IDLE:
                self._give_back(death, marked)
            if marked is not None:
                self._done_by_dead.update({work: marked.done(work) for work in _NOUNS})
            path.unlink(missing_ok=True)
            self._killed.discard(death.pid)
            self._dead.remove(death)

    def _give_back(self, death: _Death, marked: Marked) -> None:
        is_hung = death.pid in self._killed and not marked.cause
        how = describe(death.exit_code, hung(self._settings.page_seconds) if is_hung else marked.cause)
        _log.error("process %s of the pool is gone: %s; in hand: %s", death.pid, how, marked.suspects or "no item")
        if marked.state == STARTING:
            for work in _NOUNS:
                self._crashed(work, ("start", death.pid), is_first=True)
        elif marked.work == PLAN_JOB:
            self._give_back_planning(death, marked)
        elif marked.work == CLASSIFY_CHUNK:
            self._give_back_chunk(death, marked, how)

    def _give_back_planning(self, death: _Death, marked: Marked) -> None:
        job_id, token = uuid.UUID(marked.identifier), uuid.UUID(marked.token)
        with self._database.transaction() as session:
            suspect = lost_plans.take_from_dead(session, job_id, token, lease_seconds=self._settings.lease_seconds)
        if suspect is not None:
            self._hold(held_plan(suspect, self._settings, died_at=death.at))

    def _give_back_chunk(self, death: _Death, marked: Marked, how: str) -> None:
        with self._database.transaction() as session:
            loss = losses.take_from_dead(
                session,
                uuid.UUID(marked.identifier),
                uuid.UUID(marked.token),
                ordinals=marked.suspects,
                lease_seconds=self._settings.lease_seconds,
            )
        if loss is None:
            return
        self._sender.classify_chunks(loss.ready, ahead=True)
        if loss.suspect is None:
            self._crashed(CLASSIFY_CHUNK, ("nothing", death.pid), is_first=True)
        else:
            self._hold(held_chunk(loss.suspect, self._settings, how=how, died_at=death.at))

    def _hold(self, held: Held) -> None:
        self._pending.append(held)
        self._crashed(held.work, held.identifier, is_first=held.is_first)

    def _crashed(self, work: str, suspect: Hashable, *, is_first: bool) -> None:
        was_broken = self.is_broken
        self._suspicions[work].crashed(suspect, is_first=is_first, finished=self._done(work))
        if self.is_broken and not was_broken:
            _log.critical(
                "this worker is broken and ends: %s different %s in a row crashed it, and it finished none in between. "
                "None of them is blamed.",
                self._settings.broken_worker_crashes,
                _NOUNS[work],
            )
            ask_to_stop(self.folder, at_once=True)
            self._end_worker()

    def _done(self, work: str) -> int:
        return self._done_by_dead[work] + sum(marked.done(work) for marked in read_marks(self.folder).values())

    def _judge(self) -> None:
        """Settle what is clear by now."""
        if self.is_broken:
            self._forgive_all()
            return
        for held in [held for held in self._pending if self._is_to_blame(held)]:
            self._release(held, held.settle)

    def _is_to_blame(self, held: Held) -> bool:
        if self._suspicions[held.work].is_cleared(self._done(held.work)):
            return True
        is_idle = self._idle_since is not None and time.monotonic() - self._idle_since > _IDLE_SECONDS
        return is_idle and self._is_examined_since(held.died_at)

    def _is_examined_since(self, moment: float) -> bool:
        """Where no other work shows that the worker is well: a process that started since passed its examination."""
        return any(marked.state != STARTING and marked.started > moment for marked in read_marks(self.folder).values())

    def _forgive_all(self) -> None:
        for held in list(self._pending):
            self._release(held, held.forgive)

    def _release(self, held: Held, move: Move) -> None:
        with self._database.transaction() as session:
            ready = move(session)
        self._pending.remove(held)
        held.announce(self._sender, ready)

    def _renew(self) -> None:
        if not self._pending or time.monotonic() < self._renew_at:
            return
        for held in self._pending:
            with self._database.transaction() as session:
                held.renew(session)
        self._renew_at = time.monotonic() + self._settings.heartbeat_seconds


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
