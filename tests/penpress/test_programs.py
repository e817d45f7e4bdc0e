"""What `penpress up` tells the programs that it starts."""

from pathlib import Path

import pytest

from penpress.programs import Addresses, Programs
from store.settings import Settings

ADDRESSES = Addresses(host="127.0.0.1", port=8000, database_url="postgresql+psycopg://x", redis_url="redis://x")
OPTIONAL = [
    name
    for name, field in Settings.model_fields.items()
    if type(None) in getattr(field.annotation, "__args__", ()) and name not in ("database_url", "redis_url")
]


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The settings as a child reads them, of an `up` in a folder with this `.env`."""

    def read(**given: str) -> Settings:
        folder = tmp_path / "operator"
        folder.mkdir()
        (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in given.items()))
        monkeypatch.chdir(folder)
        environment = Programs(Settings(home=tmp_path), ADDRESSES).sweep().environment
        monkeypatch.chdir(tmp_path)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return Settings()

    return read


@pytest.mark.parametrize("name", OPTIONAL)
def test_what_is_set_to_none_stays_none(read, name: str, tmp_path: Path) -> None:
    alias = Settings.model_fields[name].validation_alias
    settings = read(**{str(alias or f"PENPRESS_{name.upper()}"): "none"})
    if name == "tracking_uri":  # the programs are told where the home's registry is
        assert settings.mlflow_uri == Settings(home=tmp_path, tracking_uri=None).mlflow_uri
    else:
        assert getattr(settings, name) is None


def test_there_is_a_setting_of_which_none_is_not_the_default() -> None:
    assert [name for name in OPTIONAL if Settings.model_fields[name].default is not None] == ["retention_seconds"]


def test_other_values_arrive_as_they_are(read) -> None:
    settings = read(PENPRESS_RETENTION_SECONDS="7", PENPRESS_WEBHOOK_HTTP_ALLOWED="yes", PENPRESS_LEASE_SECONDS="1.5")
    assert (settings.retention_seconds, settings.webhook_http_allowed, settings.lease_seconds) == (7, True, 1.5)


def shutdown(settings: Settings) -> tuple[str, float]:
    """What the API is told, and for how long it is waited for."""
    program = Programs(settings, ADDRESSES).api()
    return program.environment["PENPRESS_SHUTDOWN_SECONDS"], program.stop_seconds


def test_on_one_machine_a_stop_is_quick_unless_somebody_wants_it_otherwise(tmp_path: Path) -> None:
    assert Settings(home=tmp_path).shutdown_seconds == 300
    assert shutdown(Settings(home=tmp_path)) == ("5.0", 10.5)
    assert shutdown(Settings(home=tmp_path, shutdown_seconds=60)) == ("60.0", 65.5)
