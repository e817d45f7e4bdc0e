import sys
import time
from pathlib import Path

import psutil
import pytest

from penpress.errors import ServiceFailed
from penpress.processes import Program
from penpress.state import Started
from penpress.supervisor import Supervisor


class Notes:
    """Keeps the last list of processes that it was told."""

    def __init__(self) -> None:
        self.last: list[Started] = []

    def __call__(self, processes: list[Started]) -> None:
        self.last = processes


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def supervisor(notes: Notes, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("penpress.supervisor._FIRST_DELAY_SECONDS", 0.01)
    supervisor = Supervisor(notes)
    yield supervisor
    supervisor.stop([])


@pytest.fixture
def make_program(tmp_path: Path):
    def make(script: str, name: str = "test") -> Program:
        return Program(name, (sys.executable, "-c", script), log=tmp_path / f"{name}.log")

    return make


def check_until(supervisor: Supervisor, condition) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        supervisor.check()
        time.sleep(0.01)


def test_what_dies_is_started_again(supervisor: Supervisor, notes: Notes, make_program) -> None:
    first = supervisor.start(make_program("import time; time.sleep(60)"))
    assert [process.pid for process in notes.last] == [first.pid]
    first.kill()
    check_until(supervisor, lambda: notes.last[0].pid != first.pid)
    assert psutil.pid_exists(notes.last[0].pid)


def test_what_keeps_dying_is_given_up_with_its_log(supervisor: Supervisor, make_program) -> None:
    supervisor.start(make_program("raise SystemExit(3)"))
    with pytest.raises(ServiceFailed, match=r"test died 5 times in a row \(status 3\); see .*test\.log"):
        check_until(supervisor, lambda: False)


def test_what_ends_by_itself_is_not_started_again(supervisor: Supervisor, notes: Notes, make_program) -> None:
    supervisor.run(make_program("pass"))
    assert notes.last == []
    with pytest.raises(ServiceFailed, match="test failed with status 1"):
        supervisor.run(make_program("raise SystemExit(1)"))


def test_groups_are_stopped_in_order_and_nothing_starts_afterwards(
    supervisor: Supervisor, make_program, tmp_path: Path
) -> None:
    script = f"""
import pathlib, signal, sys, time
def leave(*_):
    with open({str(tmp_path / "order")!r}, "a") as file: file.write(sys.argv[1] + " ")
    raise SystemExit
signal.signal(signal.SIGTERM, leave)
print("up", flush=True)
time.sleep(60)
"""
    for name in ("database", "api"):
        program = make_program(script, name)
        supervisor.start(Program(name, (*program.command, name), log=program.log))
        while "up" not in program.log.read_text():
            time.sleep(0.01)
    supervisor.stop([["api"], ["database"]])
    assert (tmp_path / "order").read_text() == "api database "
    with pytest.raises(ServiceFailed, match="Penpress is stopping"):
        supervisor.start(make_program("pass"))
