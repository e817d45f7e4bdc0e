"""docs/models.md from the first command to the last: its block runs line by line in one shell, on a small set."""

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from penpress.state import service_url
from tests.flow.small_set import write_lines, write_weights

ROOT = Path(__file__).parents[2]
FOLLOWED_WITHIN_SECONDS = 5.0
SMALL = "--strategy transfer --height 64 --width 256 --epochs 3 --processes 1 --weights weights.safetensors"

pytestmark = pytest.mark.flow


class Shell:
    """One bash for many lines, of which each must succeed."""

    _END = "the line has ended with"

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        self._bash = subprocess.Popen(["bash"], cwd=folder, env={**os.environ, **variables}, text=True, **pipes)

    def run(self, line: str) -> str:
        """What the line printed."""
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self._bash.stdin.write(f"{line}\nprintf '\\n{self._END} %s\\n' $?\n")
        self._bash.stdin.flush()
        printed = []
        for word in self._bash.stdout:
            if word.startswith(self._END):
                assert word.split()[-1] == "0", f"{line}\n{''.join(printed)}"
                return "".join(printed)
            printed.append(word)
        raise AssertionError(f"{line} ended the shell\n{''.join(printed)}")

    def close(self) -> None:
        self._bash.communicate()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def shell(home: Path, tmp_path: Path) -> Iterator[Shell]:
    """A shell in a folder with lines and weights, where `penpress` is this checkout; what it started is ended."""
    write_lines(tmp_path / "lines")
    write_weights(tmp_path / "weights.safetensors")
    variables = {"LINES": "lines", "RECIPE": SMALL, "PENPRESS_HOME": str(home), "PENPRESS_PORT": "0", "PYTHONPATH": str(ROOT)}
    shell = Shell(tmp_path, variables)
    shell.run(f'penpress() {{ {shlex.quote(sys.executable)} -m penpress "$@"; }}')
    yield shell
    shell.run("penpress down")
    shell.close()


def documented() -> list[str]:
    """The lines of the one block of commands."""
    (block,) = re.findall(r"^```sh\n(.*?)^```", (ROOT / "docs/models.md").read_text(), re.MULTILINE | re.DOTALL)
    return str(block).splitlines()


def version_that_answers(home: Path) -> str:
    image = next((home.parent / "lines" / "test" / "printed").iterdir())
    with image.open("rb") as file:
        response = httpx.post(f"{service_url(home)}/predict/", files={"file": file}, timeout=60)
    return str(response.raise_for_status().json()["model_version"])


def seconds_until(version: str, home: Path) -> float:
    started = time.monotonic()
    while version_that_answers(home) != version:
        assert time.monotonic() - started < 10 * FOLLOWED_WITHIN_SECONDS
        time.sleep(0.05)
    return time.monotonic() - started


@pytest.mark.timeout(900)  # a minute, but on cores that are busy with something else
def test_the_documented_commands_lead_to_production_and_back(shell: Shell, home: Path) -> None:
    printed: dict[str, str] = {}
    for line in documented():
        printed[line.partition(" --")[0]] = shell.run(line)
        if line.startswith("penpress up"):
            shipped = version_that_answers(home)
        elif line.startswith("penpress registry promote"):
            made = shell.run("echo $VERSION").strip()
            assert seconds_until(made, home) <= FOLLOWED_WITHIN_SECONDS
        elif line.startswith("penpress registry rollback"):
            assert seconds_until(shipped, home) <= FOLLOWED_WITHIN_SECONDS
    assert made != shipped
    assert "accuracy of prod" in printed['penpress registry compare prod "$VERSION" data/lines']
    assert f',"{made}",' in printed['penpress classify "$LINES/test"']
    assert_the_story_is_told(printed, made, shipped)


def assert_the_story_is_told(printed: dict[str, str], made: str, shipped: str) -> None:
    listed = printed["penpress registry list"]
    assert re.search(rf"^ *{made}  prod  +first ", listed, re.MULTILINE)
    assert re.search(rf"^ *{shipped}  previous, archived  +starter ", listed, re.MULTILINE)
    shown = printed["penpress registry show"]
    told = (
        r"promoted +.* by .*: Compared on our own lines\.",
        r"experiment +lines",
        r"strategy +transfer",
        rf"{shipped} +.* by ",
    )
    assert [fact for fact in told if not re.search(fact, shown)] == []
