"""Faults on purpose strike where, when and as often as they were armed for, and never otherwise."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from store import faults
from store.faults import InjectedFault


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(faults, "_FOLDER", str(tmp_path))
    return tmp_path


def test_nothing_happens_where_nothing_is_armed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faults.reach("before_decode", item="a.png")
    faults.arm(folder, "before_decode", "exception")
    faults.reach("after_infer")
    monkeypatch.setattr(faults, "_FOLDER", None)
    faults.reach("before_decode")


def test_a_fault_strikes_once_and_says_so(folder: Path) -> None:
    armed = faults.arm(folder, "before_decode", "exception")
    with pytest.raises(InjectedFault):
        faults.reach("before_decode")
    faults.reach("before_decode")
    assert (folder / "fired" / armed.name).exists()


def test_a_fault_may_wait_for_its_item_and_strike_it_always(folder: Path) -> None:
    faults.arm(folder, "before_decode", "exception", label="always", item="*/bad-*.png")
    faults.reach("before_decode", item="box/good.png")
    for _ in range(2):
        with pytest.raises(InjectedFault):
            faults.reach("before_decode", item="box/bad-1.png")


def test_an_action_that_there_is_not_cannot_be_armed(folder: Path) -> None:
    with pytest.raises(KeyError, match="explode"):
        faults.arm(folder, "before_decode", "explode")


@pytest.mark.parametrize(
    ("action", "code"),
    [
        ("segfault", -signal.SIGSEGV),
        ("abort", -signal.SIGABRT),
        ("exit", 3),
        ("kill", -signal.SIGKILL),
        ("system_exit", 3),
        ("exception", 1),
    ],
)
def test_the_process_ends_as_asked(tmp_path: Path, action: str, code: int) -> None:
    faults.arm(tmp_path, "after_claim", action)
    program = [sys.executable, "-c", "from store import faults; faults.reach('after_claim')"]
    ended = subprocess.run(program, env=os.environ | {"PENPRESS_FAULTS": str(tmp_path)}, capture_output=True, check=False)
    assert ended.returncode == code
