"""`python -m benchmarks.hot_swap`: how long after a promotion the running API answers with the new version, under load.

Two versions of the model that ships, which differ in name and temperature, take turns in `prod`. The service's own API is
asked and, beside it on the same home, a second one: the first to start asks MLflow, the other reads its note.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.images import read_images
from benchmarks.service import RunningService, running_service
from benchmarks.swapping import Api, Measured, api_process, measure
from inference.bundle import MANIFEST_NAME, load_bundle
from registry.catalog import PROD, Catalog
from registry.current import CurrentModel
from registry.starter import STARTER
from store.settings import Settings

_MEBIBYTE = 1024**2


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with lines/test; else the samples")
    parser.add_argument("--swaps", type=int, default=20)
    parser.add_argument("--clients", type=int, default=2, help="clients of each API that ask without a pause")
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between a swap and the next promotion")
    options = parser.parse_args()
    [image] = read_images(options.data / "lines/test", 1)
    with running_service() as service, api_process(service.environment) as second:
        catalog = Catalog(service.tracking_uri)
        versions = [_register(catalog, f"starter-{number}", 1.0 + number / 10) for number in (1, 2)]
        own = Api(service.url, service.pids["api"])

        def move(version: str) -> None:
            catalog.set_alias(PROD, version)

        measured = measure(
            [own, second],
            image,
            move,
            versions,
            swaps=options.swaps,
            clients=options.clients,
            pause_seconds=options.pause,
        )
        for name, each in zip(("leading API", "other API"), measured, strict=True):
            _report(name, each)
        print(f"a worker's plan: {_seconds_to_plan(service, catalog, versions[0]):.2f} s")


def _register(catalog: Catalog, name: str, temperature: float) -> str:
    """The model that ships under another name and with another temperature, as a new version."""
    manifest = load_bundle(STARTER).manifest
    with tempfile.TemporaryDirectory() as folder:
        for file in manifest.files:
            Path(folder, file).write_bytes((STARTER / file).read_bytes())
        changed = manifest.model_copy(update={"name": name, "temperature": temperature})
        Path(folder, MANIFEST_NAME).write_text(json.dumps(changed.model_dump(mode="json")))
        return catalog.register_bundle(Path(folder), parameters={}, tags={}).number


def _report(name: str, measured: Measured) -> None:
    third, last = measured.memory[2] / _MEBIBYTE, measured.memory[-1] / _MEBIBYTE
    print(
        f"{name}: first answer of the new version after median {statistics.median(measured.seconds):.2f} s, "
        f"at most {max(measured.seconds):.2f} s over {len(measured.seconds)} swaps; "
        f"{measured.requests} requests, {len(measured.failed)} failed; "
        f"memory {third:.0f} MiB after swap 3, {last:.0f} MiB after the last ({measured.growth - 1:+.1%})"
    )
    if measured.failed:
        raise SystemExit(measured.failed[0])


def _seconds_to_plan(service: RunningService, catalog: Catalog, version: str) -> float:
    """From a promotion until a worker would plan a job with the new version."""
    settings = Settings()
    worker = CurrentModel(
        tracking_uri=service.tracking_uri,
        cache_dir=service.home / "models",
        poll_seconds=settings.model_poll_seconds,
        threads=settings.worker_threads,
    )
    worker.warm_up()
    started = time.monotonic()
    catalog.set_alias(PROD, version)
    while worker.catch_up().version != version:
        time.sleep(0.02)
    return time.monotonic() - started


if __name__ == "__main__":
    main()
