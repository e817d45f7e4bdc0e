"""The shortcut past MLflow's migrations yields what they would."""

from registry.schema_dump import dump_schema
from registry.tracking import SCHEMA


def test_the_recorded_schema_is_that_of_the_installed_mlflow() -> None:
    """If this fails after an upgrade of MLflow, run `python -m registry.schema_dump`."""
    assert _statements(SCHEMA.read_text(encoding="utf-8")) == _statements(dump_schema())


def _statements(script: str) -> list[str]:
    """Its lines in any order: SQLAlchemy reflects the constraints of a table from a set."""
    return sorted(line.strip().rstrip(",") for line in script.splitlines())
