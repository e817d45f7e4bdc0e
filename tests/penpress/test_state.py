import stat
from pathlib import Path

import pytest

from penpress.errors import AlreadyRunning
from penpress.state import Started, State, only_one, read_state, remove_state, service_url, write_state

STATE = State(
    url="http://127.0.0.1:8123",
    pid=42,
    database_url="postgresql+psycopg://user:secret@host/db",
    redis_url="redis://host",
    processes=[Started(name="api", pid=43, created=1.5, stop_signal=15)],
)


def test_a_note_is_read_back_by_its_owner_only(tmp_path: Path) -> None:
    write_state(tmp_path, STATE)
    assert read_state(tmp_path) == STATE
    assert stat.S_IMODE((tmp_path / "up.json").stat().st_mode) == 0o600
    remove_state(tmp_path)
    remove_state(tmp_path)
    assert read_state(tmp_path) is None


def test_a_damaged_note_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "up.json").write_text('{"url": ')
    assert read_state(tmp_path) is None


def test_a_second_one_is_told_where_the_first_is(tmp_path: Path) -> None:
    with only_one(tmp_path / "home"):
        write_state(tmp_path / "home", STATE)
        with pytest.raises(AlreadyRunning, match=r"at http://127\.0\.0\.1:8123 \(pid 42\)"), only_one(tmp_path / "home"):
            pass
    with only_one(tmp_path / "home"):
        pass


def test_the_address_counts_only_while_the_lock_is_held(tmp_path: Path) -> None:
    assert service_url(tmp_path) is None
    with only_one(tmp_path):
        write_state(tmp_path, STATE)
        assert service_url(tmp_path) == STATE.url
    assert service_url(tmp_path) is None
