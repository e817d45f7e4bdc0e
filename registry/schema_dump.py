"""Record the schema that MLflow's migrations make of an empty SQLite file: `python -m registry.schema_dump`.

To be run whenever the pinned MLflow changes; a test fails until it is.
"""

import sqlite3
import tempfile
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

from registry.tracking import SCHEMA, connect, speaking_mlflow


def dump_schema() -> str:
    """An SQL script, headed by the version of MLflow; of the rows only those that the migrations insert, no experiment."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "mlflow.db")
        client = connect(f"sqlite:///{path}")
        with speaking_mlflow():
            client.search_registered_models()
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("DELETE FROM experiments")
            statements = "\n".join(connection.iterdump())
    return f"-- MLflow {version('mlflow')}\n{statements}\n"


if __name__ == "__main__":
    SCHEMA.write_text(dump_schema(), encoding="utf-8")
