import re

import pytest

from api.server import serve
from penpress.keys import create
from penpress.keys_database import has_keys
from store import keys
from store.database import Database
from store.keys import Scope
from store.settings import Settings
from tests.store.rows import make_job

SECRET = re.compile(r"pp_[A-Za-z0-9_-]{43}")


@pytest.fixture
def configured(home, database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Database:
    """The database that the command line works on."""
    monkeypatch.setenv("PENPRESS_DATABASE_URL", database_url)
    return database


def find(database: Database, secret: str) -> keys.FoundKey | None:
    with database.transaction() as session:
        return keys.find_key(session, secret)


def test_a_key_is_made_and_its_secret_alone_is_on_standard_output(penpress, configured: Database) -> None:
    outcome = penpress("keys", "create", "archive", "--max-open-jobs", "3")
    assert outcome.code == 0
    secret = outcome.out.strip()
    assert SECRET.fullmatch(secret)
    assert secret not in outcome.err
    found = find(configured, secret)
    assert found
    assert (found.key.name, found.key.scopes, found.key.max_open_jobs) == ("archive", ["read", "submit"], 3)
    assert found.key.webhook_secret in outcome.err


def test_the_list_shows_no_secret(penpress, configured: Database) -> None:
    assert "There are no keys" in penpress("keys", "list").out
    made = penpress("keys", "create", "archive", "--scope", "admin")
    listed = penpress("keys", "list").out
    assert "archive" in listed
    assert "admin" in listed
    assert made.out.strip() not in listed
    assert "whsec_" not in listed
    assert penpress("keys", "revoke", "archive").code == 0
    assert "revoked" in penpress("keys", "list").out


def test_a_rotation_prints_the_new_secret_and_the_old_one_holds(penpress, configured: Database) -> None:
    old = penpress("keys", "create", "archive").out.strip()
    rotated = penpress("keys", "rotate", "archive")
    assert "24 h" in rotated.err
    assert [found.is_current for found in (find(configured, old), find(configured, rotated.out.strip())) if found] == [True] * 2
    assert penpress("keys", "rotate", "archive", "--now").code == 0
    assert find(configured, old) is None
    assert find(configured, rotated.out.strip()) is None


def test_a_webhook_secret_is_rotated_by_itself(penpress, configured: Database) -> None:
    secret = penpress("keys", "create", "archive").out.strip()
    rotated = penpress("keys", "rotate", "archive", "--webhook", "--grace-hours", "1")
    found = find(configured, secret)
    assert found
    assert rotated.out.strip() == found.key.webhook_secret
    assert found.key.previous_webhook_secret


def test_a_key_adopts_what_was_made_without_keys(penpress, configured: Database) -> None:
    with configured.transaction() as session:
        job = make_job(session)
    outcome = penpress("keys", "create", "archive", "--adopt")
    assert "It owns 1 jobs" in outcome.err
    with configured.transaction() as session:
        owner = keys.key_called(session, "archive").id
        assert session.get_one(type(job), job.id).owner_id == owner


def test_what_no_key_sees_is_said(penpress, configured: Database) -> None:
    assert "earlier" not in penpress("keys", "create", "archive").err
    with configured.transaction() as session:
        make_job(session), make_job(session)
    assert "2 earlier jobs are seen by no key" in penpress("keys", "create", "second").err
    assert "earlier" not in penpress("keys", "create", "third", "--adopt").err


@pytest.mark.usefixtures("configured")
def test_each_fault_is_one_sentence(penpress) -> None:
    penpress("keys", "create", "archive")
    for arguments, sentence in {
        ("create", "archive"): "There is a key 'archive' already",
        ("create", "other", "--scope", "all"): "There is no scope 'all'; there are submit, read, admin.",
        ("create", "a\nb"): "A key's name has 1 to 200 printable characters.",
        ("revoke", "nobody"): "There is no key 'nobody' in use",
        ("rotate", "nobody"): "There is no key 'nobody' in use",
    }.items():
        outcome = penpress("keys", *arguments)
        assert (outcome.code, outcome.out) == (2, "")
        assert outcome.err.startswith(sentence)
        assert outcome.err.count("\n") == 1


def test_a_database_that_does_not_answer_is_one_sentence_without_its_password(penpress, home, monkeypatch) -> None:
    monkeypatch.setenv("PENPRESS_DATABASE_URL", "postgresql+psycopg://nobody:hidden@127.0.0.1:9/none")
    outcome = penpress("keys", "list")
    assert outcome.code == 2
    assert outcome.err.startswith("The database does not answer")
    assert "hidden" not in outcome.err


@pytest.mark.usefixtures("nothing_left")
def test_before_the_first_start_the_embedded_database_is_started_for_it(penpress, home) -> None:
    assert SECRET.fullmatch(penpress("keys", "create", "archive").out.strip())
    assert "archive" in penpress("keys", "list").out


def test_the_scopes_of_a_key_by_default_are_those_of_a_client() -> None:
    assert {Scope(word) for word in create.__defaults__[0]} == {Scope.SUBMIT, Scope.READ}


@pytest.mark.usefixtures("nothing_left")
def test_up_refuses_to_listen_to_others_without_keys(
    penpress, configured: Database, redis_url, tracking_uri, monkeypatch
) -> None:
    monkeypatch.setenv("PENPRESS_REDIS_URL", redis_url)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_uri)
    outcome = penpress("up", "--host", "0.0.0.0", "--port", "0")
    assert outcome.code == 2
    assert "penpress keys create NAME. It was to listen on 0.0.0.0." in outcome.err


def test_the_api_refuses_to_listen_to_others_without_keys(settings: Settings, database: Database) -> None:
    with pytest.raises(SystemExit, match=r"penpress keys create NAME\. It was to listen on 0\.0\.0\.0\."):
        serve(settings.model_copy(update={"host": "0.0.0.0"}))


def test_the_api_starts_for_others_with_a_key(settings: Settings, database: Database, monkeypatch) -> None:
    started = []
    monkeypatch.setattr("api.server.AnnouncedStop.run", lambda server: started.append(server))
    with database.transaction() as session:
        keys.create_key(session, name="a", scopes=Scope)
    assert settings.database_url
    assert has_keys(settings.database_url)
    serve(settings.model_copy(update={"host": "0.0.0.0"}))
    assert len(started) == 1
