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


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """A folder such as killed workers leave behind, with its lock, which nobody holds."""
    folder = tmp_path / "penpress-worker-left"
    folder.mkdir()
    (folder / "in-use").touch()
    return folder


@pytest.mark.timeout(20)
@pytest.mark.parametrize("is_read", [False, True])
def test_a_pipe_that_somebody_planted_keeps_no_worker_from_starting(left: Path, is_read: bool) -> None:
    (left / "in-use").unlink()
    os.mkfifo(left / "in-use")
    reader = os.open(left / "in-use", os.O_RDONLY | os.O_NONBLOCK) if is_read else None
    assert not is_removed_by_another(str(left))
    if reader is not None:
        os.close(reader)


def test_links_are_not_followed(left: Path, tmp_path: Path) -> None:
    elsewhere = left.rename(tmp_path / "elsewhere")
    (tmp_path / "penpress-worker-linked").symlink_to(elsewhere)
    other = tmp_path / "penpress-worker-other"
    other.mkdir()
    (other / "in-use").symlink_to(elsewhere / "in-use")
    assert not is_removed_by_another(str(elsewhere))
    assert other.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to somebody else")
@pytest.mark.parametrize("foreign", [".", "in-use"])
def test_what_belongs_to_somebody_else_stays(left: Path, foreign: str) -> None:
    os.chown(left / foreign, 65534, 65534)
    assert not is_removed_by_another(str(left))


def test_what_nobody_holds_is_removed(left: Path) -> None:
    assert is_removed_by_another(str(left))
