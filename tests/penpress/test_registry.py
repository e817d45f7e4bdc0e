"""`penpress registry …`, from a run to production and back, on the store in the home."""

import json
from pathlib import Path

import pytest

from inference.bundle import load_bundle
from registry.catalog import Catalog, flat_metrics
from registry.defaults import CALIBRATION_ERROR, MARGIN, METRIC
from store.settings import Settings
from tests.penpress.conftest import Penpress
from tests.tiny_bundle import write_tiny_bundle


@pytest.fixture
def catalog(home: Path) -> Catalog:
    """The registry in the home, which no option names."""
    return Catalog(Settings().mlflow_uri)


def log_run(catalog: Catalog, directory: Path, **metrics: float) -> str:
    """A finished run that left the bundle in `directory`."""
    stated = flat_metrics(load_bundle(directory).manifest)
    stated |= {name.replace("__", "."): value for name, value in metrics.items()}
    return catalog.log_run(directory, name=directory.name, parameters={"seed": "7"}, metrics=stated)


def test_from_a_run_to_production_and_back(penpress: Penpress, catalog: Catalog, tmp_path: Path) -> None:
    bundles = [write_tiny_bundle(tmp_path / name, name=name) for name in ("first", "second")]
    runs = [log_run(catalog, bundle, validation__accuracy=value) for bundle, value in zip(bundles, (0.9, 0.8), strict=True)]

    selected = penpress("registry", "select")
    assert selected.out.split() == [runs[0]]
    assert "The best of 2 runs by validation.accuracy, where more is better." in selected.err
    registered = penpress("registry", "register", runs[0])
    assert (registered.out, registered.err) == ("1\n", "Registered as version 1.\n")
    assert penpress("registry", "register", runs[0]).err == "This is version 1 already.\n"
    assert penpress("registry", "promote", "1").out == "Version 1 is in production.\n"
    assert penpress("registry", "promote", "01").out == "Version 1 is in production already.\n"

    penpress("registry", "register", penpress("registry", "select", "--run", runs[1]).out.strip())
    promoted = penpress("registry", "promote", "02", "--reason", "it is newer")
    assert promoted.out == "Version 2 is in production; version 1 is archived.\n"
    assert "calibration  passes" in promoted.err
    assert penpress("registry", "rollback", "--reason", "too new").out == "Version 1 is in production again.\n"
    assert catalog.aliases() == {"prod": "1", "previous": "2"}


def test_list_and_show(penpress: Penpress, catalog: Catalog, tiny_bundle: Path) -> None:
    assert "No version is registered yet." in penpress("registry", "list").out
    for _ in range(2):
        penpress("registry", "register", log_run(catalog, tiny_bundle))
    for number in ("1", "2"):
        penpress("registry", "promote", number, "--reason", f"trial {number}")
    header, newest, oldest = penpress("registry", "list").out.splitlines()
    assert header.split()[:3] == ["VERSION", "STATE", "NAME"]
    assert newest.split()[:2] == ["2", "prod"]
    assert oldest.split()[:3] == ["1", "previous,", "archived"]
    shown = penpress("registry", "show").out
    for words in ("trial 2", "METRIC", "seed", "Archived versions", "replaced by version 2", "registered at"):
        assert words in shown
    assert "trial 1" in penpress("registry", "show", "1").out


def test_a_refusal_is_one_sentence_and_says_how_to_overrule_it(penpress: Penpress, catalog: Catalog, tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "uncalibrated")
    manifest = json.loads((bundle / "bundle.json").read_text()) | {"metrics": {}}
    (bundle / "bundle.json").write_text(json.dumps(manifest))
    penpress("registry", "register", log_run(catalog, bundle))
    refused = penpress("registry", "promote", "1")
    assert refused.code == 2
    assert refused.err.splitlines()[-1] == (
        "Version 1 was not promoted: calibration: it does not state its calibration error on the test split. "
        "--force --reason … overrules that."
    )
    assert penpress("registry", "promote", "1", "--force").code == 2
    assert penpress("registry", "promote", "1", "--force", "--reason", "a trial").code == 0
    assert "overruled gates" in penpress("registry", "show").out


def test_what_cannot_be_done_is_one_sentence(penpress: Penpress) -> None:
    for command in ("select", f"register {'0' * 32}", "promote 1", "promote x", "rollback", "show", "archive 4"):
        outcome = penpress("registry", *command.split())
        assert (outcome.code, outcome.err.count("\n")) == (2, 1), outcome.err


def test_archive(penpress: Penpress, catalog: Catalog, tiny_bundle: Path) -> None:
    penpress("registry", "register", log_run(catalog, tiny_bundle))
    assert penpress("registry", "archive", "1", "--reason", "a mistake").out == "Version 1 is archived.\n"
    assert "a mistake" in penpress("registry", "show", "1").out


def test_a_model_travels_in_a_file(penpress: Penpress, catalog: Catalog, tiny_bundle: Path, tmp_path: Path) -> None:
    penpress("registry", "register", log_run(catalog, tiny_bundle))
    assert penpress("registry", "export", "1", "tiny.zip").out == "Version 1 is in tiny.zip.\n"
    elsewhere = f"sqlite:///{tmp_path / 'elsewhere' / 'mlflow.db'}"
    assert penpress("registry", "import", "tiny.zip", "--tracking-uri", elsewhere).out == "1\n"
    assert Catalog(elsewhere).version("1").tags["origin"] == "import"
    (tmp_path / "bad.zip").write_bytes(b"no zip")
    refused = penpress("registry", "import", "bad.zip")
    assert (refused.code, refused.err.startswith("bad.zip is not a bundle file")) == (2, True)


def test_the_environment_says_where_the_registry_is(
    penpress: Penpress, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"sqlite:///{tmp_path / 'elsewhere' / 'mlflow.db'}"
    log_run(Catalog(uri), tiny_bundle)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert penpress("registry", "select", "--metric", "test.accuracy").code == 0


def test_help_names_the_defaults(penpress: Penpress) -> None:
    text = penpress("registry", "promote", "--help").out
    assert f"{MARGIN}" in text
    assert f"{CALIBRATION_ERROR}" in text
    assert METRIC in penpress("registry", "select", "--help").out
