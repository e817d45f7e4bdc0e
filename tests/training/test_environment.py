import subprocess
from pathlib import Path

import pytest

from training.environment import commit, installed_packages


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A git repository with one committed package."""
    (tmp_path / "__init__.py").write_text("")
    author = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    for arguments in (["init", "--quiet"], ["add", "."], [*author, "commit", "--quiet", "-m", "first"]):
        subprocess.run(["git", "-C", tmp_path, *arguments], check=True)
    return tmp_path


def test_a_commit_is_dirty_once_a_file_differs(checkout: Path) -> None:
    clean = commit(checkout)
    assert clean is not None
    assert (len(clean.sha), clean.dirty) == (40, False)
    (checkout / "__init__.py").write_text("changed")
    changed = commit(checkout)
    assert changed is not None
    assert (changed.sha, changed.dirty) == (clean.sha, True)


def test_a_package_installed_inside_a_checkout_has_no_commit(checkout: Path) -> None:
    installed = checkout / "site-packages"
    installed.mkdir()
    (installed / "__init__.py").write_text("")
    assert commit(installed) is None


def test_without_a_checkout_there_is_no_commit(tmp_path: Path) -> None:
    assert commit(tmp_path) is None


def test_packages_are_named_with_their_versions_only() -> None:
    found = installed_packages()
    assert len(found) > 20
    assert all(line.count("==") == 1 and "/" not in line and "@" not in line for line in found)
