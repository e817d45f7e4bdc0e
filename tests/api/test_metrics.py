"""What Prometheus reads, after requests that were answered, refused and made up."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from api.examples import METRICS
from api.metrics import Metrics
from registry.current import CurrentModel
from store import sweep
from store.database import Database
from tests.pictures import png

Labels = dict[str, str]


def samples(text: str) -> Iterator[tuple[str, Labels, float]]:
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            yield sample.name, dict(sample.labels), sample.value


def value(client: TestClient, sample: str, /, **labels: str) -> float:
    """The one sample of that name and those labels; 0 if there is none."""
    answer = client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return sum(v for found, has, v in samples(answer.text) if found == sample and has == labels)


def test_requests_are_counted_by_route_and_status(client: TestClient) -> None:
    for content in (png(), b"no image", png()):
        client.post("/predict/", files={"file": ("a.png", content)})
    name = "penpress_http_requests_total"
    assert value(client, name, method="POST", route="/predict/", status="200") == 2
    assert value(client, name, method="POST", route="/predict/", status="422") == 1
    assert value(client, "penpress_http_request_seconds_count", method="POST", route="/predict/") == 3


def test_what_a_client_makes_up_is_no_series_of_its_own(client: TestClient) -> None:
    for number in range(3):
        client.get(f"/nowhere/{number}")
        client.get(f"/jobs/{number}")
        client.request(f"MADE{number}", "/livez")
    name = "penpress_http_requests_total"
    assert value(client, name, method="GET", route="none", status="404") == 3
    assert value(client, name, method="GET", route="/jobs/{job_id}", status="422") == 3
    assert value(client, name, method="other", route="/livez", status="405") == 3


def test_an_error_that_nobody_foresaw_is_a_500(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.system._limits", lambda _: 1 / 0)
    assert client.get("/info").status_code == 500
    assert value(client, "penpress_http_requests_total", method="GET", route="/info", status="500") == 1


def test_the_model_that_serves_is_named(client: TestClient) -> None:
    assert value(client, "penpress_model_info", version="1", name="tiny", device="cpu") == 1
    assert value(client, "penpress_model_swaps_total") == 1
    assert value(client, "penpress_model_failing") == 0
    assert value(client, "penpress_model_loaded_timestamp_seconds") > 1.7e9


def test_a_model_that_cannot_be_loaded_shows(tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    models = CurrentModel(tracking_uri=f"sqlite:///{tmp_path}/home/mlflow.db", cache_dir=tmp_path / "models", poll_seconds=60)
    metrics = Metrics(models)
    with pytest.raises(Exception, match="home"):
        models.catch_up()
    found = {name: number for name, _, number in samples(metrics.exposition().decode())}
    assert (found["penpress_model_failing"], found["penpress_model_failures_total"]) == (1, 1)
    assert not {"penpress_model_info", "penpress_model_loaded_timestamp_seconds"} & set(found)


def test_what_the_sweep_has_put_right_is_counted_by_rule(client: TestClient, database: Database) -> None:
    with database.transaction() as session:
        sweep.count(session, "expired_leases", 2)
    with database.transaction() as session:
        sweep.count(session, "expired_leases", 1)
        sweep.count(session, "unsent_plans", 0)
    assert value(client, "penpress_sweep_actions_total", rule="expired_leases") == 3
    assert 'penpress_sweep_actions_total{rule="unsent_plans"} 0.0' in client.get("/metrics").text


def test_a_database_that_is_down_costs_the_sweeps_figures_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    models = CurrentModel(tracking_uri=f"sqlite:///{tmp_path}/mlflow.db", cache_dir=tmp_path, poll_seconds=60)
    database = Database("postgresql+psycopg://nobody@127.0.0.1:1/none")
    text = Metrics(models, database).exposition().decode()
    assert "penpress_model_swaps_total 0.0" in text
    assert "penpress_sweep_actions_total{" not in text
    assert "figures could not be read" in caplog.text


def test_a_database_that_hangs_holds_up_no_scrape(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    reads, go_on = list[int](), threading.Event()

    def hang(_: object) -> dict[str, int]:
        reads.append(1)
        go_on.wait(20)
        return {"late": 1}

    monkeypatch.setattr(sweep, "counts", hang)
    monkeypatch.setattr("api.sweep_metrics._PATIENCE_SECONDS", 0.02)
    for _ in range(3):
        assert "penpress_model_swaps_total" in client.get("/metrics").text
    assert reads == [1]  # one thread waits, however often somebody asks
    go_on.set()
    monkeypatch.setattr("api.sweep_metrics._PATIENCE_SECONDS", 20)
    assert value(client, "penpress_sweep_actions_total", rule="late") == 1


def test_the_documented_example_holds_what_is_answered(client: TestClient, database: Database) -> None:
    client.post("/predict/", files={"file": ("a.png", png())})
    with database.transaction() as session:
        sweep.count(session, "expired_leases", 1)
    answered = {name for name, _, _ in samples(client.get("/metrics").text)}
    assert {name for name, _, _ in samples(METRICS)} <= answered


def test_memory_and_processor_time_are_reported(client: TestClient) -> None:
    assert value(client, "process_resident_memory_bytes") > 10**7
