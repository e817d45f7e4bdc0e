"""Open MLflow: imported late, because that takes seconds, and set up so that it is quiet, quick and never unpickles.

A local store is an SQLite file with its artifacts in the folder `mlartifacts` beside it, wherever the process was started.
"""

import logging
import os
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING

from registry.errors import NoSuchVersion, RegistryUnavailable

if TYPE_CHECKING:
    from mlflow import MlflowClient

SQLITE_PREFIX = "sqlite:///"
EXPERIMENT_NAME = "penpress"
SCHEMA = Path(__file__).with_name("mlflow_schema.sql")
_MODEL_TRAINING = {"mlflow.experimentKind": "custom_model_development"}  # its pages show runs and metrics, not chats
_DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # A registry that is down must be noticed in seconds; MLflow would try for minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}


def open_client(tracking_uri: str) -> "MlflowClient":
    """A client for the store at `tracking_uri`, whose SQLite file is made if need be. Raises `RegistryUnavailable`."""
    create_local_store(tracking_uri)
    return connect(tracking_uri)


def connect(tracking_uri: str) -> "MlflowClient":
    """A client for the store at `tracking_uri`; an SQLite file that does not exist is left to MLflow's migrations."""
    configure_mlflow()
    if local_store(tracking_uri):
        # A pooled connection would go on reading a file that was moved away, or replaced by a backup.
        os.environ.setdefault("MLFLOW_SQLALCHEMYSTORE_POOLCLASS", "NullPool")
    from mlflow import MlflowClient

    # MLflow's deprecated use of SQLAlchemy is no concern of whoever runs Penpress.
    warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"mlflow\.")
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # They log what they also raise, which at each poll of a registry that is down would fill the disk.
    for name in ("mlflow.store.db.utils", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with speaking_mlflow():
        return MlflowClient(tracking_uri, registry_uri=tracking_uri)


def configure_mlflow() -> None:
    """Set MLflow's environment variables, unless the operator has; pickles are refused whatever he has set."""
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"


def local_store(tracking_uri: str) -> Path | None:
    """The SQLite file of a local store; None for a tracking server or another database."""
    if not tracking_uri.startswith(SQLITE_PREFIX):
        return None
    return Path(tracking_uri.removeprefix(SQLITE_PREFIX)).absolute()


def require_local_store(tracking_uri: str) -> None:
    """Raises `RegistryUnavailable` if the SQLite file is gone, in whose place SQLite would put an empty one."""
    path = local_store(tracking_uri)
    if path is not None and not path.exists():
        raise RegistryUnavailable(f"{path} is gone, in which the model registry was.")


def create_local_store(tracking_uri: str) -> None:
    """Make the SQLite file of a local store from the schema that MLflow's own migrations end with.

    MLflow's migrations take seconds on an empty file. The shortcut is taken only for the MLflow version whose schema was
    recorded (the dump's first line names it); with any other version MLflow migrates the file itself.
    """
    path = local_store(tracking_uri)
    if path is None or path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    script = SCHEMA.read_text(encoding="utf-8")
    if installed_version("mlflow") != script.splitlines()[0].removeprefix("-- MLflow "):
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    connection = sqlite3.connect(draft)
    try:
        connection.executescript(script)
    finally:
        connection.close()
    _publish(draft, path)


def _publish(draft: Path, path: Path) -> None:
    """Give the finished file its name, unless another process was first."""
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def experiment_id(client: "MlflowClient", tracking_uri: str, name: str = EXPERIMENT_NAME) -> str:
    """The experiment called `name`, made if need be. Raises `RegistryUnavailable`."""
    with speaking_mlflow():
        experiment = client.get_experiment_by_name(name)
        if experiment is not None:
            return str(experiment.experiment_id)
        store = local_store(tracking_uri)
        location = (store.parent / "mlartifacts").as_uri() if store else None
        return str(client.create_experiment(name, artifact_location=location, tags=_MODEL_TRAINING))


@contextmanager
def speaking_mlflow() -> Iterator[None]:
    """Translate what MLflow raises: `NoSuchVersion` for what does not exist, else `RegistryUnavailable`."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            raise NoSuchVersion(f"The model registry says: {_first_line(error)}") from error
        raise RegistryUnavailable(f"The model registry says: {_first_line(error)}") from error
    except OSError as error:
        raise RegistryUnavailable(f"The model registry cannot be reached: {error}.") from error


def _first_line(error: Exception) -> str:
    """SQL and its parameters follow, where a store's database failed."""
    return f"{str(error).splitlines()[0].rstrip('.')}."
