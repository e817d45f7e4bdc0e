import io
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
import uvicorn

from api.app import create_app
from store.database import Database
from store.redaction import RedactingFormatter, redact
from store.settings import Settings
from tests.api.keyed import make_secret
from tests.pictures import png


def test_secrets_are_cut_out_of_a_text() -> None:
    secret = "pp_" + "aB3-_" * 8 + "xyz"
    assert redact(f"GET /jobs?key={secret}&x=1") == "GET /jobs?key=pp_[redacted]&x=1"
    assert redact(f"pp%5F{secret[3:]}") == "pp_[redacted]"
    assert redact("whsec_" + "aB+/" * 10 + "abc=") == "whsec_[redacted]"
    assert redact("app_name pp_short a.png") == "app_name pp_short a.png"


@pytest.mark.parametrize(
    "before",
    [
        *("", " ", "=", ":", '"', "'", "/", "?", "&", ",", "(", "[", "b'", "-", "_", ".", "\n", "\t", "Bearer ", '{"key":"'),
        *("https://x.example/", "key%3D", "key%3d", "Bearer%20", "key%253D", r"a\n", r"a\t", r"a\x3d", r"a\u003d"),
    ],
)
@pytest.mark.parametrize("prefix", ["pp_", "PP_", "pp%5F", "whsec_"])
def test_a_secret_is_cut_out_whatever_stands_before_it(before: str, prefix: str) -> None:
    assert redact(f"{before}{prefix}{'aB3-_' * 8}") == f"{before}{prefix[:-3] if '%' in prefix else prefix[:-1]}_[redacted]"


@pytest.mark.parametrize("name", ["app_scan_box_0000000017.zip", "APP_scan_box_0000000017.zip", "7pp_scan_box_0000000017.zip"])
def test_a_name_that_only_ends_as_a_secret_begins_stays_whole(name: str) -> None:
    assert redact(f"{name}: not a zip") == f"{name}: not a zip"


def test_a_traceback_is_redacted_too() -> None:
    try:
        raise ValueError("pp_" + "a" * 43)
    except ValueError as error:
        record = logging.LogRecord("x", logging.ERROR, "", 0, "failed", (), (type(error), error, error.__traceback__))
    text = RedactingFormatter(None).format(record)
    assert "ValueError: pp_[redacted]" in text
    assert "aaaa" not in text


@contextmanager
def served(settings: Settings, log: io.StringIO) -> Iterator[str]:
    """The service under uvicorn, with everything that is logged, accesses too, in `log`."""
    handler = {"class": "logging.StreamHandler", "stream": log, "formatter": "plain"}
    access = {"class": "logging.StreamHandler", "stream": log, "formatter": "access"}
    formatters = {
        "plain": {"format": "%(message)s"},
        "access": {"()": "uvicorn.logging.AccessFormatter", "fmt": "%(client_addr)s %(request_line)s %(status_code)s"},
    }
    loggers = {
        "": {"handlers": ["plain"], "level": "DEBUG"},
        "uvicorn.access": {"handlers": ["access"], "level": "INFO", "propagate": False},
    }
    config = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": formatters,
        "handlers": {"plain": handler, "access": access},
        "loggers": loggers,
    }
    server = uvicorn.Server(uvicorn.Config(create_app(settings), port=0, log_config=config, log_level="debug"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.02)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def own_logging() -> Iterator[None]:
    """Give the loggers back as they were."""
    names = ("", "uvicorn", "uvicorn.access", "uvicorn.error")
    before = {name: (logging.getLogger(name).handlers[:], logging.getLogger(name).level) for name in names}
    yield
    for name, (handlers, level) in before.items():
        logger = logging.getLogger(name)
        logger.handlers[:], logger.level, logger.propagate = handlers, level, True


@pytest.mark.usefixtures("own_logging")
def test_no_key_is_logged_or_repeated_wherever_it_is_sent(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret, revoked = make_secret(database, "a"), "pp_" + "r" * 43
    log, answers = io.StringIO(), []
    with served(settings, log) as url, httpx.Client(base_url=url) as client:
        for key in (secret, revoked):
            headers = {"Authorization": f"Bearer {key}"}
            answers += [
                client.get("/jobs", headers=headers),
                client.get("/jobs", headers={"X-API-Key": key}),
                client.get("/jobs", params={"api_key": key}, headers=headers),
                client.get("/jobs", params={key: "1"}, headers=headers),
                client.get("/jobs", params={"cursor": key}, headers=headers),
                client.get(f"/jobs/{key}", headers=headers),
                client.get(f"/{key}"),
                client.get("/jobs", headers={"Authorization": f"Basic {key}"}),
                client.post("/jobs", params={"gradcam": key}, files={"files": ("a.png", png())}, headers=headers),
                client.post("/predict/", content=key, headers=headers),
                client.request("PURGE", "/jobs", params={"k": key}, headers=headers),
            ]
        monkeypatch.setattr("store.jobs.list_jobs", lambda *_, **__: explode(secret))
        answers.append(client.get("/jobs", headers={"Authorization": f"Bearer {secret}"}))
    assert {answer.status_code for answer in answers} >= {200, 401, 404, 405, 422, 500}
    logged = log.getvalue()
    assert "api_key=pp_[redacted]" in logged
    assert "RuntimeError: pp_[redacted]" in logged
    for key in (secret, revoked):
        assert key not in logged
        assert [answer.url.path for answer in answers if key in answer.text or key in str(answer.headers)] == []


def explode(secret: str) -> None:
    raise RuntimeError(secret)
