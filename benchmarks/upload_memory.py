"""`python -m benchmarks.upload_memory`: how far the API's memory grows while it takes a large zip.

The entries are random bytes, refused one by one as no images; what is measured is the upload.
"""

import argparse
import os
import tempfile
import threading
import time
import zipfile
from pathlib import Path

import httpx
import psutil

from benchmarks.service import running_service

_MIB = 1024**2
_SETTLE_SECONDS = 5


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=2048, help="size of the zip")
    size = parser.parse_args().mib
    with tempfile.TemporaryDirectory(prefix="penpress-bench-") as folder, running_service() as service:
        archive = _write_zip(Path(folder, "large.zip"), size)
        time.sleep(_SETTLE_SECONDS)
        api = psutil.Process(service.pids["api"])
        idle = api.memory_info().rss
        peak, seconds = _peak_during_upload(api, service.url, archive)
    print(f"idle {idle / _MIB:.0f} MiB, peak {peak / _MIB:.0f} MiB during {size} MiB in {seconds:.1f} s")
    print(f"growth: {(peak - idle) / _MIB:.0f} MiB")


def _write_zip(path: Path, size: int) -> Path:
    piece = os.urandom(_MIB)
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(size):
            archive.writestr(f"{number:06d}.bin", piece)
    return path


def _peak_during_upload(api: psutil.Process, url: str, archive: Path) -> tuple[int, float]:
    peak, done = api.memory_info().rss, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.02):
            peak = max(peak, api.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.perf_counter()
    try:
        with archive.open("rb") as body:
            headers = {"Content-Type": "application/zip"}
            httpx.post(f"{url}/jobs", content=body, headers=headers, timeout=600).raise_for_status()
        return peak, time.perf_counter() - started
    finally:
        done.set()
        watcher.join()


if __name__ == "__main__":
    main()
