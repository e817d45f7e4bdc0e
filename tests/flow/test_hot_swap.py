"""Twenty promotions under load: each API process follows within 5 s, no request fails, and memory stays where it was."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from benchmarks.swapping import Api, measure
from benchmarks.swapping import api_process as start_api
from registry.catalog import PROD, Catalog
from tests.pictures import png
from tests.tiny_bundle import write_tiny_bundle

SWAPS, REQUESTS = 20, 500
FOLLOWED_WITHIN_SECONDS = 5.0
LARGEST_GROWTH = 1.1

pytestmark = pytest.mark.flow


@pytest.fixture
def tracking_uri(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'registry' / 'mlflow.db'}"


@pytest.fixture
def versions(tracking_uri: str, tmp_path: Path) -> list[str]:
    """Three versions, of which the last is in production."""
    catalog = Catalog(tracking_uri)
    folders = [write_tiny_bundle(tmp_path / name, name=name) for name in ("one", "two", "three")]
    numbers = [catalog.register_bundle(folder, parameters={}, tags={}).number for folder in folders]
    catalog.set_alias(PROD, numbers[-1])
    return numbers


@pytest.fixture
def apis(versions: list[str], tracking_uri: str, database_url: str, redis_url: str, tmp_path: Path) -> Iterator[list[Api]]:
    """Two API processes on one home, with the settings that users have: one asks MLflow, the other reads its note."""
    environment = {
        "PENPRESS_HOME": str(tmp_path / "home"),
        "PENPRESS_DATABASE_URL": database_url,
        "PENPRESS_REDIS_URL": redis_url,
        "MLFLOW_TRACKING_URI": tracking_uri,
    }
    with ExitStack() as stack:
        yield [stack.enter_context(start_api(environment)) for _ in range(2)]


def test_promotions_under_load_cost_no_request(apis: list[Api], versions: list[str], tracking_uri: str) -> None:
    catalog = Catalog(tracking_uri)

    def move(number: str) -> None:
        catalog.set_alias(PROD, number)

    for measured in measure(apis, png(), move, versions, swaps=SWAPS, clients=2, pause_seconds=0.1):
        assert measured.failed == []
        assert measured.requests >= REQUESTS
        assert len(measured.seconds) == SWAPS
        assert max(measured.seconds) <= FOLLOWED_WITHIN_SECONDS
        assert measured.growth <= LARGEST_GROWTH
