"""Inside the image: `penpress up`, the samples through `penpress classify`, a clean end. `python one_machine.py SAMPLES`."""

# a script that says how far it is

import csv
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

_STOP_SECONDS = 60


def main(samples: Path) -> None:
    _check_image()
    _check_refusal()
    os.environ["PENPRESS_KEY"] = _make_key()
    started = time.monotonic()
    up = subprocess.Popen(["penpress", "up", "--host", "0.0.0.0"], stdout=subprocess.PIPE, text=True)
    try:
        _wait_until_ready(up)
        print(f"ready after {time.monotonic() - started:.1f} s", flush=True)
        _classify(samples)
    finally:
        up.send_signal(signal.SIGTERM)
        code = up.wait(_STOP_SECONDS)
    left = psutil.Process().children(recursive=True)
    assert (code, left) == (0, []), (code, left)
    print("stopped, nothing left", flush=True)


def _check_image() -> None:
    assert os.getuid() == 65532
    assert subprocess.run(["penpress", "--version"]).returncode == 0
    without_torch = subprocess.run([sys.executable, "-c", "import torch"], capture_output=True, text=True)
    assert "No module named 'torch'" in without_torch.stderr


def _check_refusal() -> None:
    """Without a key it does not listen to others."""
    refused = subprocess.run(["penpress", "up", "--host", "0.0.0.0"], capture_output=True, text=True)
    assert "penpress keys create" in refused.stderr, refused


def _make_key() -> str:
    return subprocess.run(["penpress", "keys", "create", "test"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def _wait_until_ready(up: subprocess.Popen[str]) -> None:
    """Until it says so; it gives up by itself."""
    assert up.stdout is not None
    assert any("is ready at" in line for line in up.stdout), "penpress up ended"


def _classify(samples: Path) -> None:
    subprocess.run(["penpress", "classify", str(samples), "--format", "table"], check=True)
    command = ["penpress", "classify", str(samples), "--format", "csv"]
    answers = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    files = {Path(row["FILE"]).name for row in csv.DictReader(io.StringIO(answers.stdout))}
    assert files == {path.name for path in samples.iterdir()}, files


if __name__ == "__main__":
    main(Path(sys.argv[1]))
