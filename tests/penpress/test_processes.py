import os
import sys
import time
from pathlib import Path

import psutil
import pytest

from penpress.processes import Program, created_at, end_orphan, start, stop

STUBBORN_CHILD = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
STUBBORN_FAMILY = f"""
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", {STUBBORN_CHILD!r}])
time.sleep(60)
"""
FLEETING_PARENT = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {STUBBORN_CHILD!r}])"


@pytest.fixture
def make_program(tmp_path: Path):
    def make(script: str, *, stop_seconds: float = 0.2) -> Program:
        return Program("test", (sys.executable, "-c", script), log=tmp_path / "logs" / "test.log", stop_seconds=stop_seconds)

    return make


def wait_for_line(program: Program, line: str) -> None:
    deadline = time.monotonic() + 20
    while line not in program.log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_stop_ends_a_family_that_will_not_go(make_program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penpress.processes._TERMINATE_SECONDS", 0.2)
    program = make_program(STUBBORN_FAMILY)
    child = start(program)
    wait_for_line(program, "up")
    family = psutil.Process(child.pid).children()
    assert len(family) == 1
    stop(child, program)
    assert child.returncode == -9
    assert not family[0].is_running() or family[0].status() == psutil.STATUS_ZOMBIE


def test_stop_finds_the_children_of_a_dead_leader(make_program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penpress.processes._TERMINATE_SECONDS", 0.2)
    program = make_program(FLEETING_PARENT)
    child = start(program)
    child.wait()
    wait_for_line(program, "up")
    stop(child, program)
    assert not [pid for pid in psutil.pids() if _is_in_session(pid, child.pid)]


def _is_in_session(pid: int, leader: int) -> bool:
    try:
        return os.getsid(pid) == leader and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except (OSError, psutil.Error):
        return False


def test_an_orphan_is_ended_but_a_stranger_with_its_number_is_not(make_program) -> None:
    child = start(make_program("import time; time.sleep(60)"))
    end_orphan(child.pid, created_at(child.pid) - 100)
    assert child.poll() is None
    end_orphan(child.pid, created_at(child.pid))
    assert child.wait(timeout=5) == -15


def test_a_large_log_is_put_aside(make_program) -> None:
    program = make_program("print('new')")
    program.log.parent.mkdir()
    with program.log.open("wb") as log:
        log.truncate(11 * 1024**2)
    start(program).wait()
    assert program.log.read_text() == "new\n"
    assert program.log.with_suffix(".log.1").stat().st_size == 11 * 1024**2


def test_a_command_that_does_not_exist_raises(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        start(Program("test", ("/nonexistent/program",), log=tmp_path / "log"))


def test_output_goes_to_the_log(make_program) -> None:
    program = make_program("import sys; print('out', flush=True); print('err', file=sys.stderr)")
    assert start(program).wait() == 0
    assert program.log.read_text() == "out\nerr\n"
