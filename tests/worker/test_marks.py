import os
import uuid
from pathlib import Path

import pytest

from inference.deaths import describe
from store.queue import CLASSIFY_CHUNK, PLAN_JOB
from worker.marks import BUSY, IDLE, STARTING, Mark, ask_to_stop, read_marks


def test_a_mark_says_what_its_process_is_at(tmp_path: Path) -> None:
    mark = Mark.open(tmp_path)
    assert read_marks(tmp_path)[os.getpid()].state == STARTING
    chunk_id, token = uuid.uuid4(), uuid.uuid4()
    mark.begin(CLASSIFY_CHUNK, chunk_id, token)
    assert read_marks(tmp_path)[os.getpid()].since is None
    mark.hold(range(1000))
    mark.hold([5])  # shorter than what was there
    found = read_marks(tmp_path)[os.getpid()]
    assert (found.state, found.work, found.identifier, found.token) == (BUSY, CLASSIFY_CHUNK, str(chunk_id), str(token))
    assert found.suspects == (5,)
    assert found.since
    assert mark.holds_items
    assert mark.is_read
    assert not Mark().is_read
    mark.wait()
    assert read_marks(tmp_path)[os.getpid()].since is None
    mark.drop(finished=2)
    mark.drop(finished=1)
    mark.drop(planned=2)
    mark.rest()
    found = read_marks(tmp_path)[os.getpid()]
    assert (found.state, found.finished, found.suspects, found.token) == (IDLE, 3, (), "")
    assert (found.done(CLASSIFY_CHUNK), found.done(PLAN_JOB)) == (3, 5)
    assert not mark.holds_items


def test_marks_that_cannot_be_read_and_other_files_are_passed_over(tmp_path: Path) -> None:
    for name, text in {"17": '{"sta', "18": '{"suspects": [], "what": 1}', "stopping": ""}.items():
        (tmp_path / name).write_text(text)
    assert read_marks(tmp_path) == {}


def test_a_mark_knows_since_when_the_worker_is_to_stop(tmp_path: Path) -> None:
    mark = Mark.open(tmp_path)
    assert mark.stopping_seconds() is None
    assert Mark().stopping_seconds() is None
    ask_to_stop(tmp_path)
    assert 0 <= (mark.stopping_seconds() or 0) < 60
    ask_to_stop(tmp_path, at_once=True)
    assert (mark.stopping_seconds() or 0) > 10**9


@pytest.mark.parametrize(
    ("exit_code", "cause", "words"),
    [
        (-11, "", "it was killed by SIGSEGV"),
        (-1000, "", "it was killed by signal 1000"),
        (3, "", "it ended with exit code 3"),
        (None, "", "it was found dead"),
        (-9, "hung for more than 5 seconds", "it hung for more than 5 seconds"),
    ],
)
def test_how_a_process_died_is_said_in_words(exit_code: int | None, cause: str, words: str) -> None:
    assert describe(exit_code, cause) == words
