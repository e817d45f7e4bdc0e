"""`make bench`: the batch path against a plain loop, and /predict/ against bare inference, all in one run.

Absolute figures depend on the machine and its other work; the ratios, taken in turn, are what is claimed.
"""

import argparse
import os
import statistics
from pathlib import Path

from benchmarks import batch_path, latency, plain_loop
from benchmarks.images import read_images, zipped
from benchmarks.service import RunningService, running_service
from store.settings import Settings

_LINES = Path("lines/test")


def main() -> None:
    """Measure and print."""
    options = _parse_options()
    images = read_images(options.data / _LINES, options.images)
    with running_service() as service:
        print(f"start: {service.start_seconds:.1f} s from `penpress up` on an empty home to ready")
        _measure_batches(service, images, options.rounds)
        _measure_latency(service, images[: options.requests])


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with lines/test; else the samples")
    parser.add_argument("--images", type=int, default=1000, help="images of one batch")
    parser.add_argument("--rounds", type=int, default=3, help="times that both are measured in turn")
    parser.add_argument("--requests", type=int, default=300, help="requests to /predict/")
    return parser.parse_args()


def _measure_batches(service: RunningService, images: list[bytes], rounds: int) -> None:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    archive = zipped(images)
    warm_up = images[:100]
    batch_path.images_per_second(service.url, zipped(warm_up), len(warm_up))
    ratios = []
    for number in range(1, rounds + 1):
        plain = plain_loop.images_per_second(service.bundle, images, processes=cores)
        batch = batch_path.images_per_second(service.url, archive, len(images))
        ratios.append(batch / plain)
        print(f"round {number}: plain loop {plain:6.1f} images/s, batch path {batch:6.1f} images/s, ratio {ratios[-1]:.2f}")
    print(f"batch path / plain loop: median {statistics.median(ratios):.2f} ({len(images)} images, {cores} cores)")


def _measure_latency(service: RunningService, images: list[bytes]) -> None:
    bare, served = latency.measure(service.url, service.bundle, images, threads=Settings().predict_threads)
    print(f"bare decode + inference: p50 {bare.p50:.1f} ms, p99 {bare.p99:.1f} ms")
    print(f"/predict/:               p50 {served.p50:.1f} ms, p99 {served.p99:.1f} ms")
    print(f"/predict/ / bare:        p50 {served.p50 / bare.p50:.2f}, p99 {served.p99 / bare.p99:.2f}")


if __name__ == "__main__":
    main()
