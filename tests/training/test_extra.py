"""Without the extra, every command that needs it ends in the same sentence."""

import sys
import tomllib
from pathlib import Path

import pytest

from training.errors import ExtraMissing
from training.extra import MODULES, require_extra

_IMPORTED_AS = {"scikit-learn": "sklearn"}


def test_the_modules_are_those_of_the_extra() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    names = [line.partition(">")[0] for line in project["optional-dependencies"]["training"]]
    assert sorted(_IMPORTED_AS.get(name, name) for name in names) == sorted(MODULES)


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    require_extra()
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ExtraMissing, match=r"install penpress\[training\], or run make check in a clone\. Missing: torch\.$"):
        require_extra()
