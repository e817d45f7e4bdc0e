import os
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from store.blobs import Blobs
from store.database import Database
from store.settings import Settings
from tests.pictures import png
from worker.rules import make_rules, orphaned_blobs, rule
from worker.rules.orphaned_blobs import OrphanedBlobs
from worker.rules.rule import Tools

DAY = "2026/11/25"


@pytest.fixture
def tools(settings: Settings, database: Database) -> Tools:
    return Tools(settings, database, None)  # type: ignore[arg-type]  # it sends nothing


def write(tools: Tools, key: str, *, hours_old: float) -> Path:
    path = tools.settings.home_dir / "blobs" / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"1")
    age(path, hours_old)
    return path


def age(path: Path, hours: float) -> None:
    then = path.stat().st_mtime - hours * 3600
    os.utime(path, (then, then))


def test_what_no_row_names_goes_when_it_is_old_whole_or_not(tools: Tools) -> None:
    old, half = write(tools, f"{DAY}/a", hours_old=25), write(tools, f"{DAY}/b.part", hours_old=25)
    young = write(tools, f"{DAY}/c.part", hours_old=23)
    assert OrphanedBlobs()(tools) == 2
    assert [path.exists() for path in (old, half, young)] == [False, False, True]


def test_what_a_row_names_stays(tools: Tools, submit: Callable[..., uuid.UUID]) -> None:
    submit({"a.png": png()})
    [stored] = [path for path in (tools.settings.home_dir / "blobs").rglob("*") if path.is_file()]
    age(stored, 1000)
    assert OrphanedBlobs()(tools) == 0
    assert stored.exists()


def test_each_sweep_looks_at_one_day_and_each_day_once_an_hour(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    for day in ("2026/11/23", "2026/11/24"):
        write(tools, f"{day}/a", hours_old=25)
    orphans = OrphanedBlobs()
    assert [orphans(tools), orphans(tools)] == [1, 1]
    write(tools, "2026/11/24/b", hours_old=25)
    assert orphans(tools) == 0
    monkeypatch.setattr(orphans, "_next_round", 0.0)
    assert orphans(tools) == 1


def test_when_the_time_is_over_the_next_sweep_goes_on(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rule, "PURGE_SECONDS", 0.0)
    monkeypatch.setattr(orphaned_blobs, "LIMIT", 2)
    for number in range(3):
        write(tools, f"{DAY}/{number}", hours_old=25)
    orphans = OrphanedBlobs()
    # Two are looked for, and go; then the third.
    assert [orphans(tools) for _ in range(6)] == [0, 1, 1, 0, 1, 0]


def test_a_folder_that_somebody_removed_keeps_no_other(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tools, "2026/11/23/a", hours_old=25)
    monkeypatch.setattr(Blobs, "days", lambda _: ["2026/11/23", "2026/11/24"])
    orphans = OrphanedBlobs()
    assert [orphans(tools), orphans(tools)] == [0, 1]


def test_a_file_that_cannot_be_removed_keeps_no_other(
    tools: Tools, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for key in ("2026/11/23/a", f"{DAY}/a", f"{DAY}/b"):
        write(tools, key, hours_old=25)
    delete = Blobs.delete

    def refuse_one(blobs: Blobs, key: str) -> None:
        if key == f"{DAY}/a":
            raise PermissionError
        delete(blobs, key)

    monkeypatch.setattr(Blobs, "delete", refuse_one)
    orphans = OrphanedBlobs()
    assert [orphans(tools), orphans(tools)] == [1, 1]
    assert f"{DAY}/a, which no upload names, cannot be removed" in caplog.text


def test_a_store_that_does_not_exist_yet_has_none(tools: Tools) -> None:
    assert OrphanedBlobs()(tools) == 0


def test_an_object_store_is_looked_through_too(tools: Tools, settings: Settings) -> None:
    remote = settings.model_copy(update={"blobs_url": f"memory://{uuid.uuid4().hex}", "orphan_seconds": 1e-9})
    Blobs(remote.blobs).write(f"{DAY}/a", b"1")
    assert OrphanedBlobs()(Tools(remote, tools.database, None)) == 1  # type: ignore[arg-type]  # it sends nothing


def test_the_sweep_has_the_rule() -> None:
    assert "orphaned_blobs" in {known.name for known in make_rules()}
