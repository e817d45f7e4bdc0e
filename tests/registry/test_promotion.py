"""What a promotion demands, moves and records, and how it is undone."""

import getpass
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from inference.errors import BundleMissing, ChecksumMismatch
from registry import promotion
from registry.catalog import Catalog, Version, log_bundle
from registry.errors import (
    InProduction,
    NoPrevious,
    NoSample,
    ProductionChanged,
    PromotionError,
    PromotionRefused,
    ReasonMissing,
)
from registry.examination import examine, sample_images
from registry.gates import Limits
from registry.promotion import archival_of, archive, promote, promotion_of, rollback
from tests.pictures import DARK, LIGHT, png
from tests.registry.conftest import MakeBundle, data_note, measured

Release = Callable[..., str]


@pytest.fixture
def catalog(tracking_uri: str) -> Catalog:
    return Catalog(tracking_uri)


@pytest.fixture
def register(catalog: Catalog, make_bundle: MakeBundle) -> Release:
    """Register a bundle; returns its version's number."""

    def register(name: str, **changes: object) -> str:
        return catalog.register_bundle(make_bundle(name, **changes), parameters={}, tags={}).number

    return register


def damage(home: Path, number: str, catalog: Catalog) -> None:
    folder = Path(catalog.version(number).source.removeprefix("file://"))
    (folder / "model.onnx").write_bytes(b"damaged")


def test_a_promotion_is_recorded(catalog: Catalog, register: Release) -> None:
    first, second = register("a"), register("b")
    promote(catalog, first)
    promoted = promote(catalog, second, reason="better on charters")
    mark, put_aside = promotion_of(promoted), archival_of(catalog.version(first))
    assert mark is not None
    assert (mark.why, mark.by) == ("better on charters", promotion._who())
    assert mark.by.startswith(getpass.getuser())
    assert abs((datetime.now(UTC) - mark.at).total_seconds()) < 60
    assert put_aside is not None
    assert put_aside.why == "replaced by version 2"
    assert catalog.aliases() == {"prod": second, "previous": first}


def test_promoting_what_is_in_production_changes_nothing(catalog: Catalog, register: Release) -> None:
    number = register("a")
    promote(catalog, number, reason="first")
    before = catalog.version(number)
    assert promote(catalog, number, force=True, reason="again") == before
    assert catalog.aliases() == {"prod": number}


def test_a_gate_that_objects_keeps_a_version_out(catalog: Catalog, register: Release) -> None:
    champion = register("a", metrics={"test": measured(accuracy=0.98)}, data=data_note("lines"))
    promote(catalog, champion)
    worse = register("b", metrics={"test": measured(accuracy=0.9)}, data=data_note("lines"))
    with pytest.raises(PromotionRefused, match=r"Version 2 was not promoted: metrics: its test accuracy is 0\.9000"):
        promote(catalog, worse)
    assert catalog.aliases() == {"prod": champion}
    assert promotion_of(catalog.version(worse)) is None
    assert archival_of(catalog.version(champion)) is None


def test_force_needs_a_reason_and_records_what_it_overruled(catalog: Catalog, register: Release) -> None:
    number = register("a", metrics={})
    for nothing in (None, "", " "):
        with pytest.raises(ReasonMissing):
            promote(catalog, number, force=True, reason=nothing)
    promoted = promote(catalog, number, force=True, reason="a trial")
    assert promoted.tags["overruled_gates"].startswith("calibration: it does not state")
    assert promotion_of(promoted).why == "a trial"
    assert catalog.aliases() == {"prod": number}


def test_nobody_can_promote_what_cannot_be_served(catalog: Catalog, register: Release, tmp_path: Path) -> None:
    damaged, lost, broken = register("a"), register("b"), register("c", bias=float("nan"))
    damage(tmp_path, damaged, catalog)
    for file in Path(catalog.version(lost).source.removeprefix("file://")).iterdir():
        file.unlink()
    Path(catalog.version(lost).source.removeprefix("file://")).rmdir()
    for number, error in ((damaged, ChecksumMismatch), (lost, BundleMissing), (broken, PromotionRefused)):
        with pytest.raises(error):
            promote(catalog, number, force=True, reason="I want it")
    assert catalog.aliases() == {}


def test_a_bundle_that_was_overwritten_is_not_promoted(catalog: Catalog, register: Release, make_bundle: MakeBundle) -> None:
    number = register("registered")
    log_bundle(catalog.client, str(catalog.version(number).run_id), make_bundle("overwritten", bias=1.0))
    with pytest.raises(ChecksumMismatch, match="version 1 is not the one registered"):
        promote(catalog, number, force=True, reason="I want it")
    assert catalog.aliases() == {}


def test_a_damaged_version_in_production_can_be_replaced(catalog: Catalog, register: Release, tmp_path: Path) -> None:
    first, second = register("a", data=data_note("lines")), register("b")
    promote(catalog, first)
    damage(tmp_path, first, catalog)
    findings = examine(catalog, catalog.version(second), catalog.version(first))
    assert findings.aside["metrics"] == "version 1 in production is damaged"
    assert promote(catalog, second, findings=findings).number == second


def test_findings_about_another_version_in_production_are_refused(catalog: Catalog, register: Release) -> None:
    first, second, third = register("a"), register("b"), register("c")
    promote(catalog, first)
    findings = examine(catalog, catalog.version(third), catalog.version(first))
    promote(catalog, second)
    with pytest.raises(ProductionChanged):
        promote(catalog, third, findings=findings, force=True, reason="I was first")
    assert catalog.aliases() == {"prod": second, "previous": first}
    assert promotion_of(catalog.version(third)) is None


def test_a_promotion_waits_for_one_that_is_under_way(
    catalog: Catalog, register: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = register("a"), register("b"), register("c")
    promote(catalog, first)
    examined, move = threading.Barrier(2), promotion._move
    monkeypatch.setattr(promotion, "_move", lambda *given, **named: (time.sleep(0.2), move(*given, **named)))

    def promote_examined(number: str) -> Version | ProductionChanged:
        findings = examine(catalog, catalog.version(number), catalog.version(first))
        examined.wait(timeout=20)
        try:
            return promote(catalog, number, findings=findings)
        except ProductionChanged as error:
            return error

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(promote_examined, (second, third)))
    assert [type(outcome) for outcome in outcomes].count(ProductionChanged) == 1
    (promoted,) = (outcome.number for outcome in outcomes if isinstance(outcome, Version))
    assert catalog.aliases() == {"prod": promoted, "previous": first}


def test_a_number_with_a_nought_before_it_is_the_same_version(catalog: Catalog, register: Release) -> None:
    number = register("a")
    assert promote(catalog, f"0{number}").number == number
    with pytest.raises(InProduction):
        archive(catalog, f"0{number}")
    assert archival_of(catalog.version(number)) is None


def test_limits_are_those_that_are_given(catalog: Catalog, register: Release) -> None:
    version = catalog.version(register("a", metrics={"test": measured(expected_calibration_error=0.05)}))
    assert set(examine(catalog, version, None).objections) == {"calibration"}
    assert not examine(catalog, version, None, limits=Limits(calibration_error=0.05)).objections


def test_agreement_on_a_sample_is_reported_and_recorded(catalog: Catalog, register: Release, tmp_path: Path) -> None:
    sample = tmp_path / "sample"
    (sample / "box").mkdir(parents=True)
    files = {"dark.png": png(DARK), "box/light.png": png(LIGHT), "note.txt": b"no image", ".hidden.png": png()}
    for name, data in files.items():
        (sample / name).write_bytes(data)
    first, second = register("a", bias=-1.0), register("b", bias=-3.0)
    promote(catalog, first)
    findings = examine(catalog, catalog.version(second), catalog.version(first), sample=sample_images(sample))
    assert findings.agreement is not None
    assert (findings.agreement.images, findings.agreement.alike) == (2, 2)
    assert findings.agreement.unreadable == ("note.txt",)
    promoted = promote(catalog, second, findings=findings)
    assert promoted.tags["agreement_with_prod"] == "2 of 2 images are answered as by version 1"


def test_an_empty_sample_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoSample):
        sample_images(tmp_path / "nowhere")


def test_a_sample_without_a_readable_image_is_refused(catalog: Catalog, register: Release) -> None:
    first, second = register("a"), register("b")
    promote(catalog, first)
    with pytest.raises(NoSample, match="No image of the sample could be read"):
        examine(catalog, catalog.version(second), catalog.version(first), sample=[("note.txt", b"no image")])


def test_rollback_goes_to_the_previous_version_and_back(catalog: Catalog, register: Release) -> None:
    first, second = register("a"), register("b")
    for number in (first, second):
        promote(catalog, number)
    assert rollback(catalog, reason="it reads music as print").number == first
    assert catalog.aliases() == {"prod": first, "previous": second}
    assert archival_of(catalog.version(first)) is None
    assert archival_of(catalog.version(second)).why == "rolled back to version 1: it reads music as print"
    assert rollback(catalog).number == second
    assert archival_of(catalog.version(second)) is None


def test_rollback_needs_a_previous_version_that_can_be_served(catalog: Catalog, register: Release, tmp_path: Path) -> None:
    first, second = register("a"), register("b")
    promote(catalog, first)
    with pytest.raises(NoPrevious):
        rollback(catalog)
    promote(catalog, second)
    damage(tmp_path, first, catalog)
    with pytest.raises(ChecksumMismatch):
        rollback(catalog)
    assert catalog.aliases()["prod"] == second
    catalog.set_alias("previous", second)
    with pytest.raises(NoPrevious, match="both previous and in production"):
        rollback(catalog)


def test_a_rollback_takes_off_what_was_said_of_another_promotion(catalog: Catalog, register: Release) -> None:
    forced, other = register("a", metrics={}), register("b")
    promote(catalog, forced, force=True, reason="a trial")
    promote(catalog, other)
    assert "overruled_gates" not in rollback(catalog).tags


def test_archiving_by_hand(catalog: Catalog, register: Release) -> None:
    first, second = register("a"), register("b")
    promote(catalog, first)
    mark = archival_of(archive(catalog, second, reason="trained on the wrong split"))
    assert mark is not None
    assert mark.why == "trained on the wrong split"
    with pytest.raises(InProduction):
        archive(catalog, first)
    with pytest.raises(PromotionError, match="is archived already"):
        archive(catalog, second)


def test_an_archived_version_that_is_promoted_is_archived_no_longer(catalog: Catalog, register: Release) -> None:
    number = register("a")
    archive(catalog, number)
    assert archival_of(promote(catalog, number)) is None


def test_a_promotion_that_was_cut_short_leaves_production_and_can_be_completed(
    catalog: Catalog, register: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = register("a"), register("b")
    promote(catalog, first)
    set_alias = catalog.set_alias

    def fail_at_prod(alias: str, number: str) -> None:
        if alias == "prod":
            raise ConnectionError
        set_alias(alias, number)

    with monkeypatch.context() as patch:
        patch.setattr(catalog, "set_alias", fail_at_prod)
        with pytest.raises(ConnectionError):
            promote(catalog, second)
    assert catalog.aliases()["prod"] == first
    promote(catalog, second)
    assert catalog.aliases() == {"prod": second, "previous": first}


def test_an_account_without_a_name_has_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert promotion._who().startswith("uid ")
