import subprocess
import sys
from pathlib import Path

import pytest

from registry.locking import Leadership


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / ".leader"


def test_one_leads_until_it_resigns(path: Path) -> None:
    first, second = Leadership(path), Leadership(path)
    assert not second.is_taken()
    assert first.claim()
    assert first.claim()
    assert not second.claim()
    assert second.is_taken()
    first.resign()
    assert not second.is_taken()
    assert second.claim()
    second.resign()


def test_a_leader_that_dies_leads_no_more(path: Path) -> None:
    program = f"""
from pathlib import Path
from registry.locking import Leadership
leader = Leadership(Path({str(path)!r}))
assert leader.claim()
print("leading", flush=True)
input()
"""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "leading\n"
        assert Leadership(path).is_taken()
        process.kill()
    assert not Leadership(path).is_taken()
