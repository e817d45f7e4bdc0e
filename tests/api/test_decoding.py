"""Images that kill, hang or exhaust whoever decodes them: each is refused alone, and the service answers the next one."""

import mmap
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import psutil
import pytest
from fastapi.testclient import TestClient

from api import decoding
from api.app import create_app
from api.decoding import Decoders, Page
from api.refusals import DecoderUnavailable
from inference import decoder
from inference.decoder import Wanted
from inference.errors import NotEnoughMemory, ProcessLost, TooManyPixels
from inference.images import ImageLimits
from inference.look import Look
from store.database import Database
from store.settings import Settings
from tests.api.deadly_decoder import DEADLY_TO_LOOK_AT
from tests.pictures import DARK, claimed_png, png
from tests.service_fixtures import local_client, wait_for_model

SMALL = Wanted(page=1, width=64, height=32, stretched=True)
GIB = 1024**3
_ARGUMENTS = decoder.arguments
Make = Callable[..., Decoders]


def through(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def arguments(*args: Any, **more: Any) -> list[str]:
        return [module if part == "inference.decoder" else part for part in _ARGUMENTS(*args, **more)]

    monkeypatch.setattr(decoder, "arguments", arguments)


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Decoders that some files kill."""
    through("tests.api.deadly_decoder", monkeypatch)
    monkeypatch.setattr(decoding, "_PATIENCE_SECONDS", 0.2)
    made: list[Decoders] = []

    def make(count: int = 1, seconds: float = 30) -> Decoders:
        made.append(Decoders(count, ImageLimits(), seconds=seconds, memory_bytes=2 * GIB))
        return made[-1]

    yield make
    for each in made:
        each.close()


def decode(decoders: Decoders, data: bytes, wanted: Wanted = SMALL) -> Page:
    with decoders.decoded(data, wanted) as page:
        return replace(page, pixels=page.pixels.copy())


def children() -> list[int]:
    return [child.pid for child in psutil.Process().children() if "deadly_decoder" in " ".join(child.cmdline())]


def test_a_page_comes_as_it_was_wanted(make: Make) -> None:
    decoders = make()
    page = decode(decoders, png(DARK, size=(300, 100)))
    assert (page.pixels.shape, page.pages) == ((32, 64, 3), 1)
    assert np.all(page.pixels == DARK)
    shown = decode(decoders, png(DARK, size=(300, 100)), replace(SMALL, stretched=False))
    assert shown.pixels.shape == (21, 64, 3)
    assert len(children()) == 1


def test_how_a_page_looks_comes_after_it_whether_somebody_asks_or_not(make: Make) -> None:
    decoders = make()
    for width in (300, 200):
        with decoders.decoded(png(DARK, size=(width, 100)), SMALL) as page:
            assert page.look() == Look(aspect_ratio=width / 100, contrast=0.0, row_changes=0.0)
        decode(decoders, png())
    assert len(children()) == 1


def test_a_process_that_is_lost_over_the_look_is_replaced(make: Make) -> None:
    decoders = make()
    with decoders.decoded(png(size=DEADLY_TO_LOOK_AT), SMALL) as page, pytest.raises(ProcessLost, match="SIGKILL"):
        page.look()
    decode(decoders, png(size=DEADLY_TO_LOOK_AT))  # and if nobody asks
    assert children() == []
    assert decode(decoders, png()).pages == 1


def test_what_an_image_is_refused_for_comes_across(make: Make) -> None:
    with pytest.raises(TooManyPixels, match="30000 x 30000"):
        decode(make(), claimed_png(30_000, 30_000))


@pytest.mark.parametrize(
    ("data", "how"),
    [
        (b"hang in C", "hung for more than 0.3 seconds"),
        (b"freeze", "hung for more than 0.3 seconds"),
        (b"crash", "killed by SIGSEGV"),
        (b"babble", "makes no sense"),
    ],
)
def test_an_image_that_its_process_is_lost_over_is_refused_alone(make: Make, data: bytes, how: str) -> None:
    decoders = make(seconds=0.3)
    with pytest.raises(ProcessLost, match=how):
        decode(decoders, data)
    assert children() == []
    assert decode(decoders, png()).pages == 1


def test_an_image_that_wants_all_memory_is_refused_and_its_process_lives_on(make: Make) -> None:
    decoders = make()
    with pytest.raises(NotEnoughMemory):
        decode(decoders, b"hoard")
    before = children()
    assert decode(decoders, png()).pages == 1
    assert children() == before


def test_each_thread_has_a_process_to_itself(make: Make) -> None:
    decoders = make(2, seconds=1)
    with ThreadPoolExecutor(1) as other:
        hanging = other.submit(decode, decoders, b"hang in C")
        assert decode(decoders, png()).pages == 1
        assert not hanging.done()
        with pytest.raises(ProcessLost):
            hanging.result()


def test_processes_can_be_there_before_the_first_image_and_end_with_the_service(make: Make) -> None:
    decoders = make(2)
    decoders.start()
    assert len(children()) == 2
    decoders.close()
    assert children() == []


def test_a_process_that_does_not_start_is_not_the_image_s_fault(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    through("tests.api.no_such_module", monkeypatch)
    with pytest.raises(DecoderUnavailable):
        decode(make(), png())


def test_a_process_whose_parent_is_gone_ends() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.close()
        with pytest.raises(OSError, match="Broken pipe"):
            decoder.serve(theirs, mmap.mmap(-1, 1), ImageLimits(), seconds=1)


@pytest.mark.parametrize(("data", "word"), [(b"hang in C", "hung"), (b"crash", "SIGSEGV")])
def test_predict_refuses_it_with_the_reason_that_workers_give(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch, data: bytes, word: str
) -> None:
    through("tests.api.deadly_decoder", monkeypatch)
    changes = {"predict_seconds": 0.5, "predict_concurrency": 1}
    with local_client(create_app(settings.model_copy(update=changes)), raise_server_exceptions=False) as client:
        wait_for_model(client)
        answer = predict(client, data)
        assert (answer.status_code, answer.json()["reason"]) == (422, "worker_lost")
        assert word in answer.json()["detail"]
        assert not [path for path in (settings.home_dir / "blobs").rglob("*") if path.is_file()]
        assert predict(client, png()).status_code == 200


def predict(client: TestClient, data: bytes) -> Any:
    return client.post("/predict/", files={"file": ("letter.png", data)})
