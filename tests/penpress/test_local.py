import csv
import io
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

from inference.images import ImageLimits
from penpress.local import find_model, local_items
from penpress.local_pool import classify_items
from penpress.local_worker import LocalItem, LocalWorker, unclassified
from penpress.results import Result
from penpress.sources import find_sources
from store.settings import Settings
from tests.penpress.lethal import LethalWorker
from tests.pictures import DARK, GREY, LIGHT, RIBBON, png, zip_of

HEADER = ["FILE", "PAGE", "CLASS", "CONFIDENCE", "P_HANDWRITTEN", "P_PRINTED", "MODEL_VERSION", "STATUS", "REASON"]


def test_a_folder_becomes_csv_in_a_pipe(penpress, make_page, model) -> None:
    make_page("scans/dark.png", DARK)
    make_page("scans/light.png", LIGHT)
    outcome = penpress("classify", "--local", "scans")
    rows = list(csv.reader(io.StringIO(outcome.out)))
    assert rows[0] == HEADER
    assert [(row[0], row[1], row[2], row[6], row[7]) for row in rows[1:]] == [
        ("scans/dark.png", "1", "handwritten", model, "succeeded"),
        ("scans/light.png", "1", "printed", model, "succeeded"),
    ]
    assert outcome.code == 0
    assert outcome.err.startswith("1 handwritten, 1 printed, 0 to review, 0 failed, ")


def test_one_bad_file_fails_alone_and_the_exit_code_says_so(penpress, make_page, model, tmp_path: Path) -> None:
    make_page("scans/a.png")
    (tmp_path / "scans" / "b.png").write_bytes(b"not an image")
    outcome = penpress("classify", "--local", "scans", "--format", "jsonl")
    results = [json.loads(line) for line in outcome.out.splitlines()]
    assert [(result["status"], result["reason"]) for result in results] == [("succeeded", None), ("failed", "not_an_image")]
    assert outcome.code == 1


def test_a_strange_page_says_so_in_csv(penpress, model, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(LIGHT, size=RIBBON))
    outcome = penpress("classify", "--local", "a.png")
    assert list(csv.reader(io.StringIO(outcome.out)))[1][-2:] == ["succeeded", "unusual_shape"]
    assert "1 printed, 1 to review, 0 failed" in outcome.err


def test_a_threshold_in_the_settings_goes_before_the_models(penpress, make_page, model, monkeypatch) -> None:
    make_page("a.png", GREY)
    monkeypatch.setenv("PENPRESS_REVIEW_THRESHOLD", "0")
    assert "0 to review" in penpress("classify", "--local", "a.png").err


def test_nothing_classified_is_exit_code_2(penpress, model, tmp_path: Path) -> None:
    (tmp_path / "b.png").write_bytes(b"")
    assert penpress("classify", "--local", "b.png").code == 2


def test_a_zip_is_read_entry_by_entry(penpress, model, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zip_of({"1.png": png(), "__MACOSX/1.png": png(), "../up.png": png()}))
    outcome = penpress("classify", "--local", "a.zip", "--format", "jsonl")
    results = [json.loads(line) for line in outcome.out.splitlines()]
    assert [(r["file"], r["status"]) for r in results] == [
        ("1.png", "succeeded"),
        ("__MACOSX/1.png", "skipped"),
        ("../up.png", "failed"),
    ]


def test_with_several_zips_names_say_which_one(tmp_path: Path) -> None:
    paths = [tmp_path / "a.zip", tmp_path / "other" / "a.zip"]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(zip_of({"1.png": png()}))
    items = local_items(find_sources(paths), Settings())
    assert [item.name for item in items] == ["a.zip/1.png", "a (2).zip/1.png"]


def test_a_broken_zip_is_one_failed_item(penpress, model, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK nonsense")
    outcome = penpress("classify", "--local", "a.zip")
    assert outcome.code == 2
    assert '"a.zip",1,,,,,,"failed","broken_archive"' in outcome.out


def test_the_ending_of_out_chooses_the_format(penpress, make_page, model, tmp_path: Path) -> None:
    make_page("a.png")
    penpress("classify", "--local", "a.png", "--out", "results.ndjson")
    assert json.loads((tmp_path / "results.ndjson").read_text())["file"] == "a.png"
    penpress("classify", "--local", "a.png", "--out", "results.csv")
    assert (tmp_path / "results.csv").read_text().startswith(",".join(HEADER))


def test_a_table_shows_doubt_and_failure_and_stops_after_fifty_rows(penpress, make_page, model, tmp_path: Path) -> None:
    for number in range(55):
        make_page(f"scans/{number:02}.png", GREY if number == 0 else LIGHT)
    (tmp_path / "scans" / "01.png").write_bytes(b"")
    outcome = penpress("classify", "--local", "scans", "--format", "table")
    lines = outcome.out.splitlines()
    assert lines[0].split() == ["FILE", "PAGE", "CLASS", "CONFIDENCE"]
    assert lines[1].split()[0] == "scans/00.png"
    assert lines[1].split()[-2:] == ["review:", "low_confidence"]
    assert "failed: The file is empty (0 bytes)." in lines[2]
    assert "scans/49.png" in outcome.out
    assert "scans/50.png" not in outcome.out
    assert "… and 5 more; --out results.csv keeps them all." in outcome.out


def test_without_any_model_one_sentence_says_so(penpress, make_page, home, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr("penpress.local.STARTER", tmp_path)
    make_page("a.png")
    outcome = penpress("classify", "--local", "a.png")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("There is no model on this machine: ")


def test_results_that_cannot_be_written_are_one_sentence(penpress, make_page, model) -> None:
    make_page("a.png")
    outcome = penpress("classify", "--local", "a.png", "--out", "nowhere/results.csv")
    assert outcome.code == 2
    assert outcome.err == "The results cannot be written to nowhere/results.csv: No such file or directory.\n"


def test_several_processes_answer_in_order(make_page, model, monkeypatch) -> None:
    monkeypatch.setattr("penpress.local_pool._ITEMS_WORTH_A_PROCESS", 1)
    monkeypatch.setattr("penpress.local_pool.usable_cores", lambda: 2)
    items = [LocalItem(make_page(f"{n}.png", (DARK, LIGHT)[n % 2]), f"{n}.png") for n in range(20)]
    found = [result for results in classify_items(items, worker_maker(), lost) for result in results]
    assert [result["file"] for result in found] == [item.name for item in items]
    assert [result["predicted_class"] for result in found] == ["handwritten", "printed"] * 10


def worker_maker(kind: type[LocalWorker] = LocalWorker) -> Callable[[], LocalWorker]:
    return partial(kind, find_model(Settings()), ImageLimits(), device="cpu", threads=1)


def lost(item: LocalItem) -> Result:
    return unclassified(item, "worker_lost", "It was killed.")


def test_an_item_that_kills_its_process_spoils_only_itself(make_page, model, monkeypatch) -> None:
    monkeypatch.setattr("penpress.local_pool._ITEMS_WORTH_A_PROCESS", 1)
    monkeypatch.setattr("penpress.local_pool.usable_cores", lambda: 2)
    names = ["1.png", "2.png", "lethal.png", "3.png"]
    items = [LocalItem(make_page(name), name) for name in names]
    found = [result for results in classify_items(items, worker_maker(LethalWorker), lost) for result in results]
    assert [result["file"] for result in found] == names
    assert [result["reason"] for result in found] == [None, None, "worker_lost", None]
