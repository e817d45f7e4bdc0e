"""The programs that `penpress up` runs beside Postgres and Redis, and the environment that tells them where those are."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from penpress.processes import Program
from store.settings import Settings

_CODE = Path(__file__).resolve().parent.parent
_WORKER_STOP_SECONDS = 20.0
_STOP_MARGIN_SECONDS = 5.0
_NONE = str(Settings.model_config["env_parse_none_str"])
_SHUTDOWN_SECONDS = 5.0  # somebody waits for `penpress down`


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the parts of one installation find each other."""

    host: str
    port: int
    database_url: str
    redis_url: str

    @property
    def url(self) -> str:
        """Where a browser on this machine finds the API."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104  # read here, not bound
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


class Programs:
    """Each method describes one program; none starts anything."""

    def __init__(self, settings: Settings, addresses: Addresses) -> None:
        self._settings, self._addresses = settings, addresses
        self._environment = _environment(settings, addresses)

    def migrations(self) -> Program:
        """Bring the database's schema up to date; ends by itself."""
        return self._python("migrations", "-m", "migrations")

    def bootstrap(self) -> Program:
        """Give a fresh registry its first model; ends by itself."""
        settings = self._settings
        cache = str(settings.models_dir)
        return self._python(
            "bootstrap", "-m", "registry.bootstrap", "--tracking-uri", settings.mlflow_uri, "--cache-dir", cache
        )

    def api(self) -> Program:
        """The HTTP interface."""
        seconds = self._settings.shutdown_grace_seconds + _shutdown_seconds(self._settings)
        return self._python("api", "-m", "api", stop_seconds=seconds + _STOP_MARGIN_SECONDS)

    def worker(self, processes: int) -> Program:
        """The Celery worker; asked to stop, it finishes the chunks it has."""
        pool = ("--pool", "prefork", "--concurrency", str(processes), "--queues", "plan,classify")
        quiet = ("--without-mingle", "--without-gossip", "--loglevel", "WARNING")
        return self._python(
            "worker", "-m", "celery", "-A", "worker.app", "worker", *pool, *quiet, stop_seconds=_WORKER_STOP_SECONDS
        )

    def sweep(self) -> Program:
        """What finds lost work."""
        return self._python("sweep", "-m", "worker.housekeeping")

    def deliver(self) -> Program:
        """What sends webhooks."""
        return self._python("deliver", "-m", "worker.deliver")

    def _python(self, name: str, *arguments: str, stop_seconds: float = 5.0) -> Program:
        home = self._settings.home_dir
        return Program(
            name=name,
            command=(sys.executable, *arguments),
            log=home / "logs" / f"{name}.log",
            environment=self._environment,
            folder=home,
            stop_seconds=stop_seconds,
        )


def _environment(settings: Settings, addresses: Addresses) -> dict[str, str]:
    """Ours, with every setting that was given: a `.env` file lies in our working directory, which is not theirs.

    `none` is given, too: without it the default would hold, and what is to be kept for ever would be deleted.
    """
    given = {name: getattr(settings, name) for name in settings.model_fields_set if name != "tracking_uri"}
    given |= {
        "home": settings.home_dir,
        "host": addresses.host,
        "port": addresses.port,
        "database_url": addresses.database_url,
        "redis_url": addresses.redis_url,
        "shutdown_seconds": _shutdown_seconds(settings),
    }
    variables = {f"PENPRESS_{name.upper()}": _NONE if value is None else str(value) for name, value in given.items()}
    path = os.pathsep.join(filter(None, (str(_CODE), os.environ.get("PYTHONPATH"))))
    return {
        **os.environ,
        **variables,
        "MLFLOW_TRACKING_URI": settings.mlflow_uri,
        "PYTHONPATH": path,
        "PYTHONUNBUFFERED": "1",
    }


def _shutdown_seconds(settings: Settings) -> float:
    return settings.shutdown_seconds if "shutdown_seconds" in settings.model_fields_set else _SHUTDOWN_SECONDS
