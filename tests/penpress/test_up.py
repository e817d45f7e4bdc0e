"""`penpress up` for real, as a process of its own on an empty home."""

import base64
import csv
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
from standardwebhooks import Webhook

from penpress.state import read_state
from tests.worker.looks import wait_until
from tests.worker.receiver import receiving

ROOT = Path(__file__).parents[2]
SECRET = "whsec_" + base64.b64encode(b"a" * 24).decode()
WEBHOOKS = {
    "PENPRESS_WEBHOOK_SECRET": SECRET,
    "PENPRESS_WEBHOOK_HTTP_ALLOWED": "true",
    "PENPRESS_WEBHOOK_NETWORKS": "127.0.0.0/8",
}


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "penpress", *map(str, arguments)]


@pytest.fixture
def environment(home: Path) -> dict[str, str]:
    return {**os.environ, "PENPRESS_HOME": str(home), "PYTHONPATH": str(ROOT)}


@contextmanager
def running(environment: dict[str, str], log: Path, *, port: int = 0) -> Iterator[subprocess.Popen[bytes]]:
    """An `up` in a folder of its own, ended if the test did not."""
    with log.open("wb") as output:
        child = subprocess.Popen(
            command("up", "--port", str(port)), cwd=log.parent, env=environment, stdout=output, stderr=output
        )
    try:
        yield child
    finally:
        if child.poll() is None:
            child.terminate()
            child.wait(timeout=60)


def wait_until_ready(home: Path, child: subprocess.Popen[bytes], log: Path) -> str:
    """The address, once the terminal says so."""
    deadline = time.monotonic() + 120
    while "is ready at" not in log.read_text():
        assert child.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
    state = read_state(home)
    assert state is not None
    return state.url


@pytest.mark.flow
@pytest.mark.usefixtures("nothing_left")
def test_up_classifies_and_leaves_nothing_behind(home: Path, environment, make_page, tmp_path: Path) -> None:
    make_page("scans/a.png")
    make_page("scans/b.png")
    log = tmp_path / "up.log"
    with running(environment | WEBHOOKS, log) as child:
        url = wait_until_ready(home, child, log)
        assert httpx.get(f"{url}/readyz").status_code == 200

        second = subprocess.run(command("up"), env=environment, cwd=tmp_path, capture_output=True, text=True)
        assert second.returncode == 1
        assert second.stderr == f"Penpress is running already in {home} at {url} (pid {child.pid}).\n"

        classified = subprocess.run(command("classify", "scans"), env=environment, cwd=tmp_path, capture_output=True, text=True)
        assert classified.returncode == 0, classified.stderr
        rows = list(csv.DictReader(io.StringIO(classified.stdout)))
        assert [(row["FILE"], row["STATUS"]) for row in rows] == [("scans/a.png", "succeeded"), ("scans/b.png", "succeeded")]

        with receiving() as receiver:
            files, options = {"files": ("a.png", (tmp_path / "scans/a.png").read_bytes())}, {"webhook_url": receiver.url()}
            job = httpx.post(f"{url}/jobs", files=files, params=options).raise_for_status().json()
            wait_until(lambda: receiver.ids != [], seconds=60)
        told = Webhook(SECRET).verify(receiver.bodies[0], receiver.headers[0])
        assert (told["type"], told["data"]["id"]) == ("job.completed", job["id"])

        child.send_signal(signal.SIGTERM)
        assert child.wait(timeout=60) == 0, log.read_text()
    assert read_state(home) is None


@pytest.mark.flow
@pytest.mark.usefixtures("nothing_left")
def test_a_part_that_dies_comes_back_and_a_killed_up_is_cleaned_up_by_the_next(home: Path, environment, tmp_path: Path) -> None:
    log = tmp_path / "up.log"
    with running(environment, log) as child:
        url = wait_until_ready(home, child, log)
        api = next(process for process in processes(home) if process["name"] == "api")
        os.kill(api["pid"], signal.SIGKILL)
        wait_for_answer(url, not_from=api["pid"], home=home)
        child.kill()
        child.wait()
    orphans = [psutil.Process(process["pid"]) for process in processes(home) if psutil.pid_exists(process["pid"])]
    assert len(orphans) >= 5
    with running(environment, log, port=int(url.rpartition(":")[2])) as child:
        wait_until_ready(home, child, log)
        assert not [orphan for orphan in orphans if orphan.is_running() and orphan.status() != psutil.STATUS_ZOMBIE]
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=60) == 0


def processes(home: Path) -> list[dict[str, object]]:
    """What `up` noted as running."""
    noted: list[dict[str, object]] = json.loads((home / "up.json").read_text())["processes"]
    return noted


def wait_for_answer(url: str, *, not_from: int, home: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        assert time.monotonic() < deadline
        replaced = not_from not in [process["pid"] for process in processes(home)]
        try:
            if replaced and httpx.get(f"{url}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)


def test_a_port_in_use_is_one_sentence_before_anything_starts(home: Path, penpress) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        outcome = penpress("up", "--port", str(port))
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == f"Port {port} on 127.0.0.1 is in use; choose another with --port, or --port 0.\n"
    assert sorted(path.name for path in home.iterdir()) == ["up.lock"]


def test_an_address_that_is_not_ours_is_one_sentence(penpress) -> None:
    outcome = penpress("up", "--host", "192.0.2.1", "--port", "0")
    assert outcome.code == 2
    assert outcome.err.startswith("Penpress cannot listen on 192.0.2.1:0: ")


@pytest.mark.usefixtures("nothing_left")
def test_a_database_that_is_not_there_names_the_log(penpress, home: Path, monkeypatch) -> None:
    monkeypatch.setenv("PENPRESS_DATABASE_URL", "postgresql+psycopg://nobody@127.0.0.1:9/none")
    outcome = penpress("up", "--port", "0")
    assert outcome.code == 2
    assert "migrations failed with status 1" in outcome.err
    assert "migrations.log" in outcome.err


@pytest.mark.flow
@pytest.mark.usefixtures("nothing_left")
def test_detached_it_outlives_the_command_and_down_ends_it(environment: dict[str, str], tmp_path: Path) -> None:
    def penpress(*arguments: str) -> str:
        options = {"cwd": tmp_path, "env": environment, "text": True, "timeout": 120}
        return subprocess.check_output(command(*arguments), **options)

    ready = penpress("up", "--detach", "--port", "0")
    url = ready.rpartition(" at ")[2].strip()
    assert httpx.get(f"{url}/readyz").status_code == httpx.codes.OK
    assert penpress("up", "--detach") == ready
    assert penpress("down") == "Penpress has stopped.\n"
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/livez")
