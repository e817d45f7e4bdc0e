import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from inference.images import ImageLimits
from store.settings import Settings


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's `.env` is read from the working directory."""
    monkeypatch.chdir(tmp_path)


def test_every_setting_works_by_default_and_says_what_it_is_for() -> None:
    Settings()
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_a_setting_is_read_from_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENPRESS_LEASE_SECONDS", "7.5")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    settings = Settings()
    assert settings.lease_seconds == 7.5
    assert settings.mlflow_uri == "http://mlflow:5000"


def test_units_stand_in_the_names() -> None:
    numbers = [
        name
        for name, field in Settings.model_fields.items()
        if re.search(r"\b(seconds|bytes|pixels)\b", str(field.description), re.I)
    ]
    assert [name for name in numbers if not name.endswith(("_seconds", "_bytes", "_pixels"))] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "70000"),
        ("LEASE_SECONDS", "0"),
        ("DEVICE", "tpu"),
        ("REVIEW_THRESHOLD", "1.1"),
        ("CHUNK_ITEMS", "0"),
        ("PDF_DPI", "9"),
    ],
)
def test_an_impossible_value_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"PENPRESS_{name}", value)
    with pytest.raises(ValidationError):
        Settings()


@pytest.mark.parametrize("name", ["LEASE", "HINT", "ORPHAN", "RETENTION", "IDEMPOTENCY"])
def test_nothing_is_kept_or_waited_for_longer_than_postgres_and_python_can_count(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for value in ("3155760001", "1e15", "inf", "nan"):
        monkeypatch.setenv(f"PENPRESS_{name}_SECONDS", value)
        with pytest.raises(ValidationError):
            Settings()
    monkeypatch.setenv(f"PENPRESS_{name}_SECONDS", "3155760000")
    assert Settings()


def test_a_host_may_fail_for_a_hundred_years_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("36526", "inf", "nan"):
        monkeypatch.setenv("PENPRESS_WEBHOOK_FAILING_DAYS", value)
        with pytest.raises(ValidationError):
            Settings()


def test_a_misspelt_variable_is_refused_with_the_name_that_was_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENPRESS_LEASE_SECOND", "7")
    with pytest.raises(ValidationError, match="PENPRESS_LEASE_SECOND is no setting; was PENPRESS_LEASE_SECONDS meant\\?"):
        Settings()


def test_a_misspelt_line_of_the_file_is_refused_and_its_value_not_shown(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("POSTGRES_PASSWORD=x\nPENPRESS_PORT=8001\nPENPRESS_WEBHOOK_SECRETS=whsec_hidden\n")
    with pytest.raises(ValidationError, match="was PENPRESS_WEBHOOK_SECRET meant") as refused:
        Settings()
    assert "hidden" not in str(refused.value)


def test_a_worker_renews_its_lease_well_before_it_ends() -> None:
    settings = Settings()
    assert settings.heartbeat_seconds * 3 <= settings.lease_seconds


def test_everything_has_its_place_in_the_home(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert settings.blobs == (tmp_path / "blobs").as_uri()
    assert settings.mlflow_uri == f"sqlite:///{tmp_path}/mlflow.db"
    assert settings.models_dir == tmp_path / "models"
    assert Settings(home=Path("~/x")).home_dir == Path.home() / "x"
    assert Settings(blobs_url="s3://bucket/scans").blobs == "s3://bucket/scans"


def test_the_limits_of_an_item_are_those_that_inference_takes() -> None:
    assert ImageLimits(**Settings(max_pages=3).image_limits).max_pages == 3
