"""Log one training run to MLflow: what it was asked for when it starts, how it goes epoch by epoch, what it made when it ends.

The store is asked first, so that one that is down is an error before hours of training. One that fails meanwhile does not stop
the training: what it did not take is sent again with the next epoch, and at the end.
"""

import json
import logging
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from inference.bundle import Bundle, DataNote
from registry.catalog import BUNDLE_FOLDER, flat_metrics, log_bundle
from registry.errors import NoSuchVersion, RegistryError, RegistryUnavailable
from registry.tracking import EXPERIMENT_NAME, experiment_id, open_client, speaking_mlflow
from training.environment import commit
from training.errors import NoSuchRun
from training.note import code_tags, describing_tags
from training.record import Outcome, write_record
from training.signature import describe_model

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput, Metric

EPOCH_PREFIX = "epoch/"
"""Heads the metrics of the epochs, which thereby never are the latest value of a final one, such as `validation.accuracy`."""
FAILURE_TAG = "failure"
_SOURCE_TAGS = {"mlflow.source.name": "penpress train", "mlflow.source.type": "LOCAL"}
_MODELS_TAG = "mlflow.log-model.history"
_MOST_METRICS, _LONGEST_DIGEST = 500, 36  # MLflow's limits, or well below
_log = logging.getLogger(__name__)


@contextmanager
def tracked_run(
    tracking_uri: str,
    *,
    name: str,
    parameters: Mapping[str, str],
    tags: Mapping[str, str] | None = None,
    experiment: str = EXPERIMENT_NAME,
    run_id: str | None = None,
) -> Iterator["RunLog"]:
    """A run in `experiment`, new or the one with `run_id`, which goes on with the parameters that it was started with.

    It ends as FINISHED, as KILLED if interrupted, else as FAILED with the reason in the tag `failure`. Raises
    `RegistryUnavailable` before anything is done if the store does not answer, and `NoSuchRun`.
    """
    with speaking_mlflow():
        client = open_client(tracking_uri)
    if run_id is None:
        described = {**(tags or {}), **_SOURCE_TAGS, **code_tags(commit())}
        run_id = _start(client, experiment_id(client, tracking_uri, experiment), name, parameters, described)
    else:
        _reopen(client, run_id)
    try:
        log = RunLog(client, run_id)
        yield log
        log.flush()
    except Exception as error:
        with suppress(RegistryError), speaking_mlflow():  # what went wrong matters more than that it could not be noted
            client.set_tag(run_id, FAILURE_TAG, f"{error}" or type(error).__name__)
            client.set_terminated(run_id, "FAILED")
        raise
    except BaseException:
        with suppress(RegistryError), speaking_mlflow():
            client.set_terminated(run_id, "KILLED")
        raise
    with speaking_mlflow():
        client.set_terminated(run_id)


class RunLog:
    """What one run logs."""

    def __init__(self, client: "MlflowClient", run_id: str) -> None:
        """The epochs that the run has logged already are read, so that its curves are whole when it was resumed."""
        self.run_id = run_id
        self._client = client
        self._unsent: list[Metric] = []
        self._epochs = _logged_epochs(client, run_id)

    def epoch(self, number: int, metrics: Mapping[str, float]) -> None:
        """Log what was measured in one epoch, counted from 1: `train.loss`, `validation.accuracy`, `learning_rate` and so on.

        Never raises `RegistryUnavailable`: what the store does not take is kept, and sent with the next epoch.
        """
        self._epochs[number] = {**self._epochs.get(number, {}), **metrics}
        self._unsent += _as_metrics({f"{EPOCH_PREFIX}{key}": value for key, value in metrics.items()}, step=number)
        try:
            self.flush()
        except RegistryUnavailable as error:
            _log.warning("The metrics of epoch %s will be logged later: %s", number, error)

    def epochs(self) -> list[Mapping[str, float]]:
        """What each epoch measured, in their order, those from before the run was resumed among them."""
        return [self._epochs[number] for number in sorted(self._epochs)]

    def finish(self, outcome: Outcome) -> None:
        """Log everything that a finished training made. Raises `RegistryUnavailable`; may be called again then."""
        bundle = outcome.bundle
        self._unsent += _as_metrics(flat_metrics(bundle.manifest), step=0)
        self.flush()
        with tempfile.TemporaryDirectory() as folder, speaking_mlflow():
            for key, value in describing_tags(bundle.manifest).items():
                self._client.set_tag(self.run_id, key, value)
            if bundle.manifest.data is not None:
                self._client.log_inputs(self.run_id, _data_inputs(bundle.manifest.data))
            write_record(outcome, self.epochs(), Path(folder))
            self._client.log_artifacts(self.run_id, folder)
            log_bundle(self._client, self.run_id, bundle.directory)
            self._log_model(bundle, Path(folder))

    def flush(self) -> None:
        """Send the metrics that are still kept here. Raises `RegistryUnavailable`."""
        with speaking_mlflow():
            while self._unsent:
                self._client.log_batch(self.run_id, metrics=self._unsent[:_MOST_METRICS])
                del self._unsent[:_MOST_METRICS]

    def _log_model(self, bundle: Bundle, folder: Path) -> None:
        """Make the artifact folder of the bundle a model in MLflow's eyes, with its signature."""
        model = describe_model(bundle, run_id=self.run_id, artifact_path=BUNDLE_FOLDER)
        model.save(folder / "MLmodel")
        self._client.log_artifact(self.run_id, str(folder / "MLmodel"), BUNDLE_FOLDER)
        self._client.set_tag(self.run_id, _MODELS_TAG, json.dumps([model.get_tags_dict()]))


def _start(client: "MlflowClient", experiment: str, name: str, parameters: Mapping[str, str], tags: Mapping[str, str]) -> str:
    with speaking_mlflow():
        run_id = str(client.create_run(experiment, run_name=name, tags=dict(tags)).info.run_id)
        for key, value in parameters.items():
            client.log_param(run_id, key, value)
    return run_id


def _reopen(client: "MlflowClient", run_id: str) -> None:
    try:
        with speaking_mlflow():
            client.update_run(run_id, status="RUNNING")
            if FAILURE_TAG in client.get_run(run_id).data.tags:
                client.delete_tag(run_id, FAILURE_TAG)
    except NoSuchVersion as error:
        raise NoSuchRun(f"The tracking server has no run {run_id}.") from error


def _logged_epochs(client: "MlflowClient", run_id: str) -> dict[int, dict[str, float]]:
    epochs: dict[int, dict[str, float]] = {}
    with speaking_mlflow():
        for key in client.get_run(run_id).data.metrics:
            if key.startswith(EPOCH_PREFIX):
                for point in client.get_metric_history(run_id, key):
                    epochs.setdefault(point.step, {})[key.removeprefix(EPOCH_PREFIX)] = point.value
    return epochs


def _as_metrics(values: Mapping[str, float], *, step: int) -> list["Metric"]:
    from mlflow.entities import Metric

    now = round(time.time() * 1000)
    return [Metric(key, value, now, step) for key, value in values.items()]


def _data_inputs(data: DataNote) -> list["DatasetInput"]:
    """The splits as MLflow lists data sets: name, digest, number of images, and what each was used for."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    return [
        DatasetInput(
            Dataset(
                name=f"{data.name}, {split}",
                digest=fingerprint[:_LONGEST_DIGEST],
                source_type="penpress",
                source=json.dumps({"name": data.name, "split": split, "sha256": fingerprint}),
                profile=json.dumps({"num_rows": data.images[split]}),
            ),
            [InputTag("mlflow.data.context", split)],
        )
        for split, fingerprint in data.fingerprints.items()
    ]
