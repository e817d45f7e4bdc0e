import os
import subprocess
import sys
import time

CODE = "import time; from worker.farewell import end_at_last; end_at_last(0.1, grace_seconds={grace}); time.sleep({seconds})"


def run(*, grace: float, seconds: float) -> int:
    return subprocess.run([sys.executable, "-c", CODE.format(grace=grace, seconds=seconds)], timeout=30).returncode


def test_a_worker_whose_shutdown_hangs_ends_all_the_same() -> None:
    started = time.monotonic()
    assert run(grace=0.1, seconds=20) == os.EX_TEMPFAIL
    assert time.monotonic() - started < 15


def test_a_worker_that_ends_by_itself_is_not_kept_waiting() -> None:
    started = time.monotonic()
    assert run(grace=20, seconds=0) == 0
    assert time.monotonic() - started < 15
