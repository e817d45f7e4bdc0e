"""The documents tell the truth: settings, commands, message names, endpoints."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from penpress import cli
from store.queue import task_names
from store.settings import Settings
from store.unknown_settings import unknown_settings

ROOT = Path(__file__).parent.parent
MARKDOWN = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def settings_rows() -> list[str]:
    """The rows that the tables of docs/settings.md must hold, in their order."""
    rows = []
    for name, field in Settings.model_fields.items():
        variable = field.validation_alias or f"PENPRESS_{name.upper()}"
        default = "" if field.default is None else f"`{field.default}`"
        rows.append(f"| `{variable}` | {default} | {field.description} |")
    return rows


def test_the_settings_tables_are_the_settings_page() -> None:
    text = (ROOT / "docs/settings.md").read_text()
    assert [line for line in text.splitlines() if line.startswith("| `")] == settings_rows()


def test_every_variable_that_is_named_anywhere_is_one_that_a_program_takes() -> None:
    configuration = [ROOT / name for name in ("Makefile", "Dockerfile", "docker-compose.yml", ".env.example")]
    code = [
        path for folder in ("penpress", "worker", "benchmarks", "api", "registry") for path in (ROOT / folder).rglob("*.py")
    ]
    paths = [*MARKDOWN, *configuration, *code]
    named = {name for path in paths for name in re.findall(r"\bPENPRESS_[A-Z]+(?:_[A-Z]+)*\b", path.read_text())}
    assert "PENPRESS_HOME" in named
    assert unknown_settings([row.split("`")[1] for row in settings_rows()], dict.fromkeys(named)) == []


def test_every_message_name_is_documented() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    assert [name for name in task_names() if f"`{name}`" not in text] == []


def test_every_make_target_that_the_documents_name_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {name for path in MARKDOWN for name in re.findall(r"`make ([a-z-]+)", path.read_text())}
    assert named <= targets


def test_every_command_that_the_documents_name_exists() -> None:
    known = {name: set(getattr(command, "commands", ())) for name, command in get_command(cli.app).commands.items()}
    pattern = re.compile(r"(?:^ *|`|\$\()penpress ([a-z-]+)(?: ([a-z]+))?", re.MULTILINE)
    named = {words for path in MARKDOWN for words in pattern.findall(path.read_text())}
    assert {"up", "down", "classify", "jobs"} <= {name for name, _ in named} <= set(known)
    assert [f"{group} {name}" for group, name in named if known[group] and name and name not in known[group]] == []


def test_every_benchmark_that_the_documents_name_exists() -> None:
    named = {name for path in MARKDOWN for name in re.findall(r"python -m benchmarks\.([a-z_]+)", path.read_text())}
    assert named
    assert [name for name in named if not (ROOT / f"benchmarks/{name}.py").exists()] == []


def test_every_file_of_the_product_that_the_documents_name_exists() -> None:
    pattern = re.compile(r"`((?:api|inference|migrations|penpress|registry|store|tests|training|worker)/[\w/]+(?:\.py|/))`")
    named = {name for path in MARKDOWN for name in pattern.findall(path.read_text())}
    assert "store/jobs.py" in named
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


def test_every_guide_page_is_in_the_readmes_table() -> None:
    readme = (ROOT / "README.md").read_text()
    table = readme[readme.index("| page |") :]
    assert [path.name for path in (ROOT / "docs").glob("*.md") if f"(docs/{path.name})" not in table] == []


def test_decisions_are_numbered_without_gaps_as_their_titles_say() -> None:
    decisions = sorted((ROOT / "docs/decisions").glob("*.md"))
    assert [int(path.name[:4]) for path in decisions] == list(range(1, len(decisions) + 1))
    assert [path.name for path in decisions if not path.read_text().startswith(f"# {int(path.name[:4])}. ")] == []


@pytest.mark.parametrize("path", MARKDOWN, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    links = re.findall(r"\]\((?!https?://|#)([^)#\s]+)", path.read_text())
    assert [link for link in links if not (path.parent / link).exists()] == []
