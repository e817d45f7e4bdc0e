"""Finished and unfinished runs as MLflow keeps them, with the bundle that a run may have left as its artifact `bundle`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from inference.bundle import MANIFEST_NAME
from registry.catalog import BUNDLE_FOLDER, Catalog
from registry.errors import NoSuchExperiment, NoSuchRun, NoSuchVersion
from registry.tracking import speaking_mlflow

_PAGE_SIZE = 1000


@dataclass(frozen=True, slots=True)
class Run:
    """One training run. `ended_at` is aware UTC, `bundle_source` the address at which its bundle lies if it left one."""

    id: str
    name: str
    experiment: str
    status: str
    ended_at: datetime | None
    metrics: Mapping[str, float]
    parameters: Mapping[str, str]
    tags: Mapping[str, str]
    bundle_source: str

    @property
    def is_finished(self) -> bool:
        """Whether it came to its end without an error."""
        return self.status == "FINISHED"


def read_run(catalog: Catalog, run_id: str) -> Run:
    """One run. Raises `NoSuchRun` or `RegistryUnavailable`."""
    if not run_id.isalnum():  # MLflow calls such an id an invalid value, in no other way told apart
        raise NoSuchRun(f"There is no run {run_id!r}.")
    try:
        with speaking_mlflow():
            found = catalog.client.get_run(run_id)
            experiment = catalog.client.get_experiment(found.info.experiment_id)
    except NoSuchVersion as error:
        raise NoSuchRun(f"There is no run {run_id!r}.") from error
    return _as_run(found, experiment.name)


def read_runs(catalog: Catalog, experiments: Sequence[str] = ()) -> list[Run]:
    """The runs of the named experiments, or of all; deleted ones are left out.

    Raises `NoSuchExperiment` or `RegistryUnavailable`.
    """
    names = _experiment_names(catalog, experiments)
    found: list[Run] = []
    token = None
    while names:
        with speaking_mlflow():
            page = catalog.client.search_runs(list(names), max_results=_PAGE_SIZE, page_token=token)
        found += [_as_run(run, names[run.info.experiment_id]) for run in page]
        token = page.token
        if not token:
            break
    return found


def has_bundle(catalog: Catalog, run: Run) -> bool:
    """Whether the run left a bundle; whether it is whole shows only when it is fetched."""
    with speaking_mlflow():
        files = catalog.client.list_artifacts(run.id, BUNDLE_FOLDER)
    return any(file.path == f"{BUNDLE_FOLDER}/{MANIFEST_NAME}" for file in files)


def _experiment_names(catalog: Catalog, wanted: Sequence[str]) -> dict[str, str]:
    """The names of the wanted experiments by their ids."""
    with speaking_mlflow():
        every = {str(found.experiment_id): str(found.name) for found in catalog.client.search_experiments()}
    unknown = [name for name in wanted if name not in every.values()]
    if unknown:
        there_are = ", ".join(sorted(every.values())) or "none"
        raise NoSuchExperiment(f"There is no experiment {unknown[0]!r}; there are: {there_are}.")
    return {number: name for number, name in every.items() if not wanted or name in wanted}


def _as_run(found: Any, experiment: str) -> Run:
    return Run(
        id=str(found.info.run_id),
        name=str(found.info.run_name or ""),
        experiment=experiment,
        status=str(found.info.status),
        ended_at=datetime.fromtimestamp(found.info.end_time / 1000, UTC) if found.info.end_time else None,
        metrics=dict(found.data.metrics),
        parameters=dict(found.data.params),
        tags={key: value for key, value in found.data.tags.items() if not key.startswith("mlflow.")},
        bundle_source=f"{found.info.artifact_uri}/{BUNDLE_FOLDER}",
    )
