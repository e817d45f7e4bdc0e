"""Real processes, since a lock is given back by the kernel when they die."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.worker.looks import wait_until
from worker.marks_folder import MarksFolder

_WORKER = """
import os, time
from worker.marks_folder import MarksFolder
folder = MarksFolder()
child = os.fork()
if child == 0:
    time.sleep(60)
print(folder.path, child, flush=True)
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def _temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)


def is_removed_by_another(folder: str) -> bool:
    MarksFolder().remove()
    return not Path(folder).exists()


def test_a_worker_removes_what_killed_ones_left_and_nobody_elses(tmp_path: Path) -> None:
    (tmp_path / "penpress-worker-without-lock").mkdir()
    with subprocess.Popen([sys.executable, "-c", _WORKER], stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout
        left, child = worker.stdout.readline().split()
        ours = MarksFolder()
        assert Path(left).exists()
        worker.kill()
        worker.wait()
        assert not is_removed_by_another(left)  # its child lives on, and leaves its mark there
        os.kill(int(child), signal.SIGKILL)
    wait_until(lambda: is_removed_by_another(left))  # a process that was killed is not gone at once
    assert {path.name for path in tmp_path.iterdir()} == {"penpress-worker-without-lock", ours.path.name}
    ours.remove()
    assert not ours.path.exists()
