"""Which run is the best, and why the others are not."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from registry.catalog import Catalog
from registry.errors import NoFitRun, NoSuchExperiment, NoSuchRun, UnfitRun
from registry.selection import fit_run, higher_is_better, select_best, summary
from registry.tracking import experiment_id
from tests.registry.conftest import MakeBundle

ACCURACY = "validation.accuracy"
LogRun = Callable[..., str]


@pytest.fixture
def catalog(tracking_uri: str) -> Catalog:
    return Catalog(tracking_uri)


@pytest.fixture
def log_run(catalog: Catalog, make_bundle: MakeBundle) -> LogRun:
    """A run with a bundle and the given metrics."""
    directory = make_bundle()

    def log(metrics: Mapping[str, float]) -> str:
        return catalog.log_run(directory, name="run", parameters={}, metrics=metrics)

    return log


def log_bare(catalog: Catalog, *, experiment: str = "penpress", status: str | None = "FINISHED", **metrics: float) -> str:
    """A run that left no bundle, and is still running if `status` is None."""
    run = catalog.client.create_run(experiment_id(catalog.client, catalog.tracking_uri, experiment))
    for name, value in metrics.items():
        catalog.client.log_metric(run.info.run_id, name.replace("__", "."), value)
    if status:
        catalog.client.set_terminated(run.info.run_id, status)
    return str(run.info.run_id)


def test_the_highest_accuracy_wins(catalog: Catalog, log_run: LogRun) -> None:
    runs = [log_run({ACCURACY: value}) for value in (0.97, 0.99, 0.98)]
    selection = select_best(catalog)
    assert [run.id for run in selection.ranked] == [runs[1], runs[2], runs[0]]
    assert selection.best.id == runs[1]
    assert not selection.tied
    assert summary(selection.left_out) == ""


def test_the_lowest_loss_wins_unless_told_otherwise(catalog: Catalog, log_run: LogRun) -> None:
    low, high = (log_run({"validation.log_loss": value}) for value in (0.1, 0.2))
    assert select_best(catalog, "validation.log_loss").best.id == low
    assert select_best(catalog, "validation.log_loss", higher=True).best.id == high


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("validation.accuracy", True),
        ("test.by_class.printed.recall", True),
        ("test.coverage", True),
        ("test.accuracy_by_source.github.com/error-loss.accuracy", True),
        ("validation.log_loss", False),
        ("validation_loss", False),
        ("test.expected_calibration_error", False),
        ("test.error_when_sure", False),
        ("test.brier_score", False),
        ("validation.risk_coverage_area", False),
        ("validation.strange", False),
    ],
)
def test_what_is_better_shows_in_the_name(metric: str, expected: bool) -> None:
    assert higher_is_better(metric) is expected


def test_of_equal_runs_the_first_to_finish_wins_and_the_others_are_named(catalog: Catalog, log_run: LogRun) -> None:
    first, second, third = (log_run({ACCURACY: value}) for value in (0.9, 0.9, 0.8))
    selection = select_best(catalog)
    assert selection.best.id == first
    assert [run.id for run in selection.tied] == [second]
    assert [run.id for run in selection.ranked] == [first, second, third]


def test_what_does_not_count_is_named_with_its_reason(catalog: Catalog, log_run: LogRun) -> None:
    best = log_run({ACCURACY: 0.5})
    reasons = {
        log_run({"validation.f1": 1.0}): "no validation.accuracy",
        log_run({ACCURACY: float("nan")}): "validation.accuracy is not a number",
        log_bare(catalog, validation__accuracy=1.0): "no bundle",
        log_bare(catalog, validation__accuracy=1.0, status="FAILED"): "failed",
        log_bare(catalog, validation__accuracy=1.0, status=None): "still running",
    }
    selection = select_best(catalog)
    assert selection.best.id == best
    assert {run.id: reason for run, reason in selection.left_out} == reasons
    assert "1 (no bundle)" in summary(selection.left_out)


def test_only_named_experiments_count(catalog: Catalog, log_run: LogRun) -> None:
    log_run({ACCURACY: 0.5})
    log_bare(catalog, experiment="other", validation__accuracy=1.0)
    assert len(select_best(catalog, experiments=["penpress"]).left_out) == 0
    with pytest.raises(NoFitRun, match=r"1 \(no bundle\)"):
        select_best(catalog, experiments=["other"])
    with pytest.raises(NoSuchExperiment, match="there are: Default, other, penpress"):
        select_best(catalog, experiments=["nowhere"])


def test_a_named_run_must_be_fit(catalog: Catalog, log_run: LogRun) -> None:
    fit = log_run({})
    assert fit_run(catalog, fit).id == fit
    with pytest.raises(UnfitRun, match="no bundle"):
        fit_run(catalog, log_bare(catalog))
    with pytest.raises(UnfitRun, match="still running"):
        fit_run(catalog, log_bare(catalog, status=None))
    for unknown in ("0" * 32, "../../etc"):
        with pytest.raises(NoSuchRun):
            fit_run(catalog, unknown)


def test_all_pages_of_runs_are_read(catalog: Catalog, log_run: LogRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("registry.runs._PAGE_SIZE", 2)
    values = (0.1, 0.2, 0.3, 0.4, 0.5)
    runs = [log_run({ACCURACY: value}) for value in values]
    assert [run.id for run in select_best(catalog).ranked] == runs[::-1]


def test_nothing_at_all(tmp_path: Path) -> None:
    with pytest.raises(NoFitRun, match=r"^No finished run has both validation.accuracy and a bundle\.$"):
        select_best(Catalog(f"sqlite:///{tmp_path / 'empty.db'}"))
