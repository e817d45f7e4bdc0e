"""From a folder of images to a served model no pickle is written or read: a watch in every process would have noted it."""

import json
import os
import pickle
import pickletools
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.flow.small_set import write_lines, write_weights

ROOT = Path(__file__).parents[2]
WATCH = Path(__file__).parent / "pickle_watch"
SMALL = ["--height", "32", "--width", "64", "--crop-width", "64", "--epochs", "1", "--batch-images", "4", "--processes", "1"]
IN_ONE_PROCESS = """
import json, pathlib, sys
from penpress.cli import app
for words in json.load(sys.stdin):
    app([pathlib.Path(word[1:]).read_text() if word.startswith("@") else word for word in words], standalone_mode=False)
"""
"""Runs command lines; a word that starts with @ is the file that holds it."""
PLANTED = """
import joblib, numpy, pathlib, pickle, torch
pickle.dump(pathlib.Path("a"), open("path.pkl", "wb"))
pickle.load(open("path.pkl", "rb"))
torch.save({}, "empty.pt")
torch.load("empty.pt")
numpy.save("object.npy", numpy.array([{}]))
joblib.dump([], "list.joblib")
"""
_LARGEST_PARSED = 1 << 20
WITHIN_SECONDS = 600  # half a minute, but on cores that are busy with something else

pytestmark = [pytest.mark.flow, pytest.mark.timeout(WITHIN_SECONDS)]


def run_watched(code: str, folder: Path, words: str = "") -> list[str]:
    """What the watch noted of `code`: each pickle's stack, headed by what was called."""
    notes = folder / "noted.txt"
    environment = {
        **os.environ,
        "PENPRESS_HOME": str(folder / "home"),
        "PICKLES_NOTED_IN": str(notes),
        "PYTHONPATH": os.pathsep.join([str(WATCH), str(ROOT)]),
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment,
        input=words,
        capture_output=True,
        text=True,
        timeout=WITHIN_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return notes.read_text().split("\n\n")[:-1] if notes.exists() else []


def test_from_images_to_answers_no_pickle_is_written_or_read(tmp_path: Path) -> None:
    write_lines(tmp_path / "lines")
    write_weights(tmp_path / "weights.safetensors")
    recipe = ["--weights", "weights.safetensors", *SMALL]
    commands = [
        ["data", "import", "folder", "lines", "--out", "data"],
        ["train", "data", "--out", "transfer", "--strategy", "transfer", *recipe],
        ["train", "data", "--out", "finetune", "--strategy", "finetune", "--tuned-blocks", "1", *recipe],
        ["registry", "register", "@transfer/run_id"],
        ["registry", "register", "@finetune/run_id"],
        ["registry", "promote", "1", "--force", "--reason", "nothing is in production yet"],
        ["registry", "promote", "2", "--force", "--reason", "a test"],
        ["registry", "export", "prod", "exported.zip"],
        ["registry", "import", "exported.zip"],
        ["classify", "--local", "lines/test", "--out", "answers.csv"],
    ]
    assert run_watched(IN_ONE_PROCESS, tmp_path, json.dumps(commands)) == []
    assert len((tmp_path / "answers.csv").read_text().splitlines()) > 1
    assert [path for path in files(tmp_path) if is_pickle(path)] == []


def test_the_watch_sees_what_is_planted(tmp_path: Path) -> None:
    noted = {note.partition("\n")[0] for note in run_watched(PLANTED, tmp_path)}
    seen = {"pickle.dump", "pickle.load", "pickle.find_class", "torch.serialization.save", "torch.serialization.load"}
    assert seen | {"joblib.numpy_pickle.dump"} <= noted
    assert all(is_pickle(path) for path in files(tmp_path) if path.name != "noted.txt")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_by_another_name_is_found(tmp_path: Path, protocol: int) -> None:
    (tmp_path / "model.bin").write_bytes(pickle.dumps(tmp_path, protocol))
    assert is_pickle(tmp_path / "model.bin")


def test_a_network_by_another_name_is_found(tmp_path: Path) -> None:
    torch.save(nn.Linear(1, 1).state_dict(), tmp_path / "model.safetensors")
    assert is_pickle(tmp_path / "model.safetensors")


def files(folder: Path) -> list[Path]:
    found = [path for path in folder.rglob("*") if path.is_file()]
    assert found
    return found


def is_pickle(path: Path) -> bool:
    """Whether the file is a pickle, or holds one, by its name or by what is in it."""
    if path.suffix in {".pkl", ".pickle", ".pt", ".pth", ".joblib"}:
        return True
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return any(_holds_pickle(name, archive.read(name)) for name in archive.namelist())
    return path.stat().st_size <= _LARGEST_PARSED and _holds_pickle(path.name, path.read_bytes())


def _holds_pickle(name: str, data: bytes) -> bool:
    of_objects = name.endswith(".npy") and b"'|O'" in data[:128]
    return of_objects or name.endswith(".pkl") or _parses_as_pickle(data)


def _parses_as_pickle(data: bytes) -> bool:
    try:
        *_, (_, _, end) = pickletools.genops(data)
    except ValueError:  # among them UnicodeDecodeError, and nothing to unpack
        return False
    return end is not None and end + 1 == len(data)
