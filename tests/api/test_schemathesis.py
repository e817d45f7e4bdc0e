"""schemathesis reads the OpenAPI document and looks for answers that it does not allow.

`make schemathesis` runs it for longer, with another seed each time.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.app import create_app
from store.database import Database
from store.keys import KeyLimits, Scope, create_key
from store.settings import Settings
from tests.penpress.fake_service import serving

EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", "3")
SEED = os.environ.get("SCHEMATHESIS_SEED", "1")


@pytest.fixture
def secret(database: Database) -> str:
    """Of a key that may do everything, as often as it likes; without one, schemathesis looks for what needs none."""
    with database.transaction() as session:
        return create_key(session, name="tester", scopes=Scope, limits=KeyLimits(max_requests_per_minute=10**6))[1]


@pytest.fixture
def url(settings: Settings, database: Database) -> Iterator[str]:
    patient_with_nobody = settings.model_copy(update={"max_wait_seconds": 0, "max_stream_seconds": 0})
    with serving(create_app(patient_with_nobody), lifespan="on") as url:
        yield url


@pytest.mark.timeout(3600)
def test_every_answer_is_one_that_the_document_allows(url: str, secret: str, tmp_path: Path) -> None:
    command = [
        *(Path(sys.executable).with_name("st"), "--config-file", Path(__file__).with_name("schemathesis.toml")),
        *("run", f"{url}/openapi.json"),
        *("--max-examples", EXAMPLES, "--seed", SEED, "--generation-database", "none"),
        *("--continue-on-failure", "--warnings", "off", "--no-color"),
        *("--header", f"Authorization: Bearer {secret}"),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
