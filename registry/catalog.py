"""The registered model `penpress` in MLflow: its versions, their bundles, and the aliases that point to them.

A version's bundle is the artifact folder `bundle` of its run. The tag `bundle_sha256` is the checksum of its manifest, which in
turn holds those of the graphs, so that a bundle kept elsewhere can be recognised without being fetched.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inference.bundle import MANIFEST_NAME, Manifest, load_bundle
from registry.cache import manifest_sha256
from registry.errors import NoSuchAlias, NoSuchVersion, RegistryUnavailable
from registry.tracking import experiment_id, open_client, require_local_store, speaking_mlflow

if TYPE_CHECKING:
    from mlflow import MlflowClient

MODEL_NAME = "penpress"
PROD = "prod"
PREVIOUS = "previous"
CHECKSUM_TAG = "bundle_sha256"
BUNDLE_FOLDER = "bundle"
_TABLES = ("accuracy_by_source", "accuracy_by_century")


@dataclass(frozen=True, slots=True)
class Version:
    """One version of the registered model. `source` is the address of its bundle, `created_at` aware UTC."""

    number: str
    run_id: str | None
    source: str
    created_at: datetime
    tags: Mapping[str, str]

    @property
    def bundle_sha256(self) -> str | None:
        """The checksum of the bundle's manifest, if the version was registered with one."""
        return self.tags.get(CHECKSUM_TAG)


class Catalog:
    """The registered model at one tracking URI. Every method may raise `RegistryUnavailable`."""

    def __init__(self, tracking_uri: str) -> None:
        """Nothing is imported or opened before the first call."""
        self.tracking_uri = tracking_uri

    @property
    def client(self) -> "MlflowClient":
        """MLflow's client. Raises `RegistryUnavailable` if a local store that was there is there no longer."""
        client = self._opened
        require_local_store(self.tracking_uri)
        return client

    @cached_property
    def _opened(self) -> "MlflowClient":
        return open_client(self.tracking_uri)

    def log_run(self, directory: Path, *, name: str, parameters: Mapping[str, str], metrics: Mapping[str, float]) -> str:
        """Log one finished run with the bundle in `directory` as its artifact; returns the run's id."""
        experiment = experiment_id(self.client, self.tracking_uri)
        with speaking_mlflow():
            run = self.client.create_run(experiment, run_name=name)
            run_id = str(run.info.run_id)
            for key, value in parameters.items():
                self.client.log_param(run_id, key, value)
            for key, number in metrics.items():
                self.client.log_metric(run_id, key, number)
            log_bundle(self.client, run_id, directory)
            self.client.set_terminated(run_id)
        return run_id

    def register(self, run_id: str, directory: Path, *, tags: Mapping[str, str] | None = None) -> Version:
        """Make a run's bundle, which is also in `directory`, a new version. Raises a `BundleError` if it is damaged."""
        checksum = {CHECKSUM_TAG: manifest_sha256(load_bundle(directory))}
        with speaking_mlflow():
            if not self.client.search_registered_models(f"name = '{MODEL_NAME}'"):
                self.client.create_registered_model(MODEL_NAME)
            source = f"{self.client.get_run(run_id).info.artifact_uri}/{BUNDLE_FOLDER}"
            made = self.client.create_model_version(MODEL_NAME, source, run_id, tags={**(tags or {}), **checksum})
        return _as_version(made)

    def register_bundle(self, directory: Path, *, parameters: Mapping[str, str], tags: Mapping[str, str]) -> Version:
        """Log a bundle that comes without a run, with the metrics of its manifest, and make it a new version."""
        manifest = load_bundle(directory).manifest
        run_id = self.log_run(directory, name=manifest.name, parameters=parameters, metrics=flat_metrics(manifest))
        return self.register(run_id, directory, tags=tags)

    def find(self, name: str) -> Version:
        """The version with that number or alias. Raises `NoSuchVersion` or `NoSuchAlias`."""
        return self.version(name) if name.isdecimal() else self.aliased(name)

    def version(self, number: str) -> Version:
        """One version. Raises `NoSuchVersion`."""
        if not number.isdecimal():
            raise NoSuchVersion(f"A version is a number, not {number!r}.")
        with speaking_mlflow():
            return _as_version(self.client.get_model_version(MODEL_NAME, number))

    def versions(self) -> list[Version]:
        """All versions, newest first."""
        with speaking_mlflow():
            found = self.client.search_model_versions(f"name = '{MODEL_NAME}'")
        return sorted(map(_as_version, found), key=lambda version: int(version.number), reverse=True)

    def aliased(self, alias: str = PROD) -> Version:
        """The version that `alias` points to. Raises `NoSuchAlias`."""
        try:
            with speaking_mlflow():
                return _as_version(self.client.get_model_version_by_alias(MODEL_NAME, alias))
        except NoSuchVersion as error:
            raise NoSuchAlias(f"No version of {MODEL_NAME} has the alias {alias!r}.") from error
        except RegistryUnavailable as error:
            # MLflow reports an unknown alias of a known model as an invalid value, in no other way told apart.
            if "alias" in str(error) and "not found" in str(error):
                raise NoSuchAlias(f"No version of {MODEL_NAME} has the alias {alias!r}.") from error
            raise

    def aliases(self) -> dict[str, str]:
        """The version number that each alias points to."""
        try:
            with speaking_mlflow():
                found = self.client.get_registered_model(MODEL_NAME).aliases
        except NoSuchVersion:  # nothing was ever registered
            return {}
        return {alias: str(number) for alias, number in found.items()}

    def set_alias(self, alias: str, number: str) -> None:
        """Point `alias` to a version, wherever it pointed before. Raises `NoSuchVersion`."""
        with speaking_mlflow():
            self.client.set_registered_model_alias(MODEL_NAME, alias, number)

    def set_tag(self, number: str, key: str, value: str) -> None:
        """Tag a version. Raises `NoSuchVersion`."""
        with speaking_mlflow():
            self.client.set_model_version_tag(MODEL_NAME, number, key, value)

    def delete_tag(self, number: str, key: str) -> None:
        """Take a tag off a version that may have it."""
        with speaking_mlflow():
            self.client.delete_model_version_tag(MODEL_NAME, number, key)

    def download(self, number: str, destination: Path) -> None:
        """Fetch a version's bundle and verify it; `destination` must not exist yet and appears only when all is well.

        Raises `NoSuchVersion`, or a `BundleError` if what the registry keeps is damaged.
        """
        self.fetch(self.version(number).source, destination)

    def fetch(self, source: str, destination: Path) -> None:
        """As `download`, for a bundle that lies at the address `source`."""
        from mlflow.artifacts import download_artifacts

        destination.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=destination.parent) as folder:
            with speaking_mlflow():
                fetched = download_artifacts(artifact_uri=source, dst_path=folder, tracking_uri=self.tracking_uri)
            load_bundle(Path(fetched))
            Path(fetched).rename(destination)


def log_bundle(client: "MlflowClient", run_id: str, directory: Path) -> None:
    """Make the bundle in `directory` the artifact of a run that `register` looks for. Raises a `BundleError`."""
    for file in (MANIFEST_NAME, *load_bundle(directory).manifest.files):
        client.log_artifact(run_id, str(directory / file), BUNDLE_FOLDER)


def flat_metrics(manifest: Manifest) -> dict[str, float]:
    """A manifest's metrics as MLflow takes them: `test.accuracy` and so on, numbers only, and none by source or century.

    MLflow's pages draw a chart for each metric: one for each source would bury the others.
    """
    return dict(_flatten("", manifest.metrics))


def _flatten(prefix: str, values: Mapping[str, Any]) -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []
    for key, value in values.items():
        if key in _TABLES:
            continue
        if isinstance(value, Mapping):
            found += _flatten(f"{prefix}{key}.", value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found.append((f"{prefix}{key}", float(value)))
    return found


def _as_version(found: Any) -> Version:
    return Version(
        number=str(found.version),
        run_id=found.run_id,
        source=str(found.source),
        created_at=datetime.fromtimestamp(found.creation_timestamp / 1000, UTC),
        tags=dict(found.tags),
    )
