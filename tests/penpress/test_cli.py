import csv
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from penpress import __version__, background
from tests.penpress.fake_service import HEADER, FakeService, serving
from tests.pictures import png, zip_of

ROOT = Path(__file__).parents[2]


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def url(service: FakeService) -> Iterator[str]:
    with serving(service.app()) as url:
        yield url


def test_the_version_is_shown_without_loading_anything_heavy() -> None:
    script = "import sys, penpress.cli; print(sorted({'httpx', 'numpy', 'pydantic', 'sqlalchemy'} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", script], cwd=ROOT, text=True) == "[]\n"
    shown = subprocess.check_output([sys.executable, "-m", "penpress", "--version"], cwd=ROOT, text=True)
    assert shown == f"penpress {__version__}\n"


def test_a_folder_and_zips_are_one_job_each_and_one_csv(penpress, make_page, service, url, tmp_path: Path) -> None:
    make_page("scans/a.png")
    make_page("scans/b.png")
    (tmp_path / "more.zip").write_bytes(zip_of({"c.png": png()}))
    outcome = penpress("classify", "scans", "more.zip", "--url", url)
    assert outcome.code == 0
    assert [job["name"] for job in service.jobs.values()] == ["2 files", "more.zip"]
    header, *rows = csv.reader(io.StringIO(outcome.out))
    assert ",".join(header) + "\n" == HEADER
    assert [row[0] for row in rows] == ["scans/a.png", "scans/b.png", "more.zip/c.png"]
    assert outcome.err.startswith("0 handwritten, 3 printed, 0 to review, 0 failed, ")


def test_failed_items_and_failed_jobs_show_in_the_exit_code(penpress, make_page, service, url) -> None:
    make_page("scans/a.png")
    make_page("scans/bad.png")
    assert penpress("classify", "scans", "--url", url).code == 1
    service.final_state = "failed"
    outcome = penpress("classify", "scans/a.png", "--url", url)
    assert outcome.code == 1
    assert "Job job-2 is failed: It went wrong." in outcome.err


def test_a_table_and_json_lines_from_a_service(penpress, make_page, url) -> None:
    make_page("a.png")
    assert "a.png" in penpress("classify", "a.png", "--url", url, "--format", "table").out.splitlines()[1]
    assert penpress("classify", "a.png", "--url", url, "--format", "jsonl").out.startswith('{"file": "a.png", "page": 1,')


def test_without_a_service_the_sentence_says_what_to_do(penpress, make_page) -> None:
    make_page("a.png")
    outcome = penpress("classify", "a.png", "--url", "http://127.0.0.1:9")
    assert outcome.code == 2
    assert "Start it with `penpress up`, or classify without it by --local." in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_path_that_is_not_there(penpress) -> None:
    outcome = penpress("classify", "nowhere.png")
    assert (outcome.code, outcome.err) == (2, "There is no file or folder nowhere.png.\n")


def test_a_format_that_is_none(penpress, make_page) -> None:
    make_page("a.png")
    outcome = penpress("classify", "a.png", "--local", "--format", "xml")
    assert (outcome.code, outcome.err) == (2, "There is no format xml; choose csv, jsonl or table.\n")


def test_a_setting_that_is_wrong(penpress, make_page, monkeypatch) -> None:
    monkeypatch.setenv("PENPRESS_PDF_DPI", "many")
    make_page("a.png")
    outcome = penpress("classify", "a.png", "--local")
    assert outcome.code == 2
    assert outcome.err.startswith("The setting PENPRESS_PDF_DPI is wrong: Input should be ")


def test_a_setting_that_is_misspelt(penpress, make_page, monkeypatch) -> None:
    monkeypatch.setenv("PENPRESS_PDF_DPY", "300")
    make_page("a.png")
    outcome = penpress("classify", "a.png", "--local")
    assert (outcome.code, outcome.err) == (2, "PENPRESS_PDF_DPY is no setting; was PENPRESS_PDF_DPI meant?\n")


def test_a_service_that_goes_away_for_a_moment_does_not_end_the_wait(penpress, make_page, service, url, monkeypatch) -> None:
    monkeypatch.setattr("penpress.client._RETRY_DELAYS_SECONDS", ())
    monkeypatch.setattr("penpress.client._PATIENT_DELAY_SECONDS", 0.01)
    make_page("a.png")
    service.failures = 20
    assert penpress("classify", "a.png", "--url", url).code == 0


def test_a_service_that_stays_away_names_the_job(penpress, make_page, service, url, monkeypatch) -> None:
    monkeypatch.setattr("penpress.client._RETRY_DELAYS_SECONDS", ())
    monkeypatch.setattr("penpress.client._PATIENCE_SECONDS", -1)
    make_page("a.png")
    service.failures = 99
    outcome = penpress("classify", "a.png", "--url", url, "--out", "results.csv")
    assert (outcome.code, outcome.err.count("\n")) == (1, 1)
    assert outcome.err.endswith(f" Job job-1 was sent; `penpress results job-1 --url {url}` gets its results.\n")
    assert not Path("results.csv").exists()


def test_the_results_of_a_job_sent_earlier(penpress, make_page, service, url, tmp_path: Path) -> None:
    make_page("a.png")
    sent = penpress("classify", "a.png", "--url", url)
    service.jobs["job-1"]["state"] = "running"  # the next answer is the final one
    outcome = penpress("results", "job-1", "--url", url)
    assert (outcome.code, outcome.out) == (0, sent.out)
    assert outcome.err == "0 handwritten, 1 printed, 0 to review, 0 failed\n"
    service.jobs["job-1"]["state"] = "queued"
    outcome = penpress("results", "job-1", "--url", url, "--out", "results.jsonl")
    assert outcome.code == 1
    assert outcome.err == "Job job-1 is not finished yet: it is running, and these are the results so far.\n"
    assert json.loads((tmp_path / "results.jsonl").read_text())["file"] == "a.png"


def test_results_of_no_job_leave_no_file(penpress, url) -> None:
    outcome = penpress("results", "a/b?c", "--url", url, "--out", "results.csv")
    assert outcome.code == 2
    assert not Path("results.csv").exists()


def test_a_wrong_out_fails_before_anything_is_sent(penpress, make_page, service, url) -> None:
    make_page("a.png")
    outcome = penpress("classify", "a.png", "--url", url, "--out", "nowhere/results.csv")
    assert (outcome.code, service.jobs) == (2, {})
    assert outcome.err == "The results cannot be written to nowhere/results.csv: No such file or directory.\n"


def test_what_a_file_held_stays_until_there_are_results(penpress, make_page, service, url) -> None:
    make_page("a.png")
    Path("results.csv").write_text("old")
    service.refusal = {"title": "Too large", "status": 413, "detail": "The upload is too large.", "reason": "too_large"}
    assert penpress("classify", "a.png", "--url", url, "--out", "results.csv").code == 2
    assert Path("results.csv").read_text() == "old"
    service.refusal = None
    assert penpress("classify", "a.png", "--url", url, "--out", "results.csv").code == 0
    assert Path("results.csv").read_text().startswith(HEADER)


def test_a_full_disk_names_the_job(penpress, make_page, url) -> None:
    make_page("a.png")
    outcome = penpress("classify", "a.png", "--url", url, "--out", "/dev/full", "--format", "csv")
    assert outcome.code == 1
    assert outcome.err == (
        "The results cannot be written to /dev/full: No space left on device."
        f" Job job-1 was sent; `penpress results job-1 --url {url}` gets its results.\n"
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--out", "x.xlsx"], "The ending of x.xlsx does not say what to write; choose .csv, .jsonl or .ndjson.\n"),
        (["--out", "x.csv", "--format", "jsonl"], "x.csv is a name for csv, not for jsonl; change the one or the other.\n"),
    ],
)
def test_an_ending_must_fit_the_format(penpress, make_page, options: list[str], sentence: str) -> None:
    make_page("a.png")
    outcome = penpress("classify", "a.png", "--local", *options)
    assert (outcome.code, outcome.err) == (2, sentence)


def test_one_bad_zip_sends_nothing(penpress, service, url) -> None:
    Path("a.zip").write_bytes(zip_of({"c.png": png()}))
    Path("b.zip").write_bytes(b"PK nonsense")
    outcome = penpress("classify", "a.zip", "b.zip", "--url", url)
    assert (outcome.code, outcome.err) == (2, "b.zip is not a zip; nothing was sent.\n")
    assert service.jobs == {}


def test_what_was_sent_before_a_refusal_is_named(penpress, service, url, monkeypatch) -> None:
    for name in ("a.zip", "b.zip", "c.zip"):
        Path(name).write_bytes(zip_of({"c.png": png()}))

    def check_and_remove(paths: list[Path]) -> None:
        paths[2].unlink()

    monkeypatch.setattr("penpress.classify.check_zips", check_and_remove)
    outcome = penpress("classify", "a.zip", "b.zip", "c.zip", "--url", url)
    assert outcome.code == 1
    assert outcome.err.startswith("c.zip cannot be read: No such file or directory. The jobs job-1, job-2 were sent; ")


def test_files_in_a_folder_that_were_not_looked_at_are_counted(penpress, make_page, url) -> None:
    for name in ("boxes/a.png", "boxes/1.zip", "boxes/deep/2.ZIP", "boxes/README", "boxes/.hidden"):
        make_page(name)
    outcome = penpress("classify", "boxes", "--url", url)
    assert outcome.err.startswith("3 files in boxes were not looked at: 2 .zip, 1 without ending.\n")


@pytest.mark.parametrize("address", ["foo", "localhost:8000", "ftp://there"])
def test_an_address_without_http_is_refused_with_the_remedy(penpress, make_page, address: str) -> None:
    make_page("a.png")
    outcome = penpress("classify", "a.png", "--url", address)
    assert (outcome.code, outcome.err) == (2, f"{address} is not an address; write http://…\n")


def test_jobs_are_listed(penpress, make_page, service, url) -> None:
    assert penpress("jobs", "--url", url).out == "There are no jobs yet.\n"
    make_page("a.png")
    penpress("classify", "a.png", "--url", url)
    line = penpress("jobs", "--url", url).out.splitlines()[1]
    assert line.split() == ["job-1", "completed", "1", "1", "0", "12.5", "2026-11-23", "10:00:00"]


def test_a_reader_that_leaves_early_causes_no_traceback(make_page, model, home) -> None:
    for number in range(30):
        make_page(f"scans/{number}.png")
    command = f"{sys.executable} -m penpress classify --local {home.parent / 'scans'} | true"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=ROOT)
    assert "Traceback" not in ended.stderr
    assert "Exception" not in ended.stderr


def test_ctrl_c_ends_with_one_sentence(make_page, service, url, home) -> None:
    service.final_state = "running"
    page = make_page("a.png")
    command = [sys.executable, "-m", "penpress", "classify", str(page), "--url", url]
    child = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
    while not service.polls:
        time.sleep(0.02)
    child.send_signal(2)
    _, err = child.communicate(timeout=20)
    assert child.returncode == 130
    assert err == f"Interrupted. Job job-1 was sent; `penpress results job-1 --url {url}` gets its results.\n"


def test_what_the_operating_system_refuses_is_one_sentence(penpress, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENPRESS_HOME", "/proc/nowhere")
    outcome = penpress("up")
    assert outcome.code == 2
    assert outcome.err.startswith("/proc/nowhere")
    assert outcome.err.count("\n") == 1


def test_down_says_when_there_is_nothing_to_stop(penpress, home: Path) -> None:
    outcome = penpress("down")
    assert (outcome.code, outcome.err) == (1, f"Penpress is not running in {home}.\n")


def test_a_running_service_on_another_port_is_said(penpress, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "start_in_background", lambda *_: "http://127.0.0.1:8011")
    assert "not on port 8012" in penpress("up", "--detach", "--port", "8012").err
    for words in (("--port", "8011"), ("--port", "0"), ()):
        assert penpress("up", "--detach", *words).err == ""


def test_who_needs_a_key_is_told_where_it_goes(penpress, make_page, url: str, service: FakeService) -> None:
    service.refusal = {"title": "Unauthorized", "status": 401, "detail": "A key is needed.", "reason": "key_missing"}
    outcome = penpress("classify", make_page("a.png"), "--url", url)
    assert outcome.code == 2
    assert outcome.err.endswith(
        "A key is needed. Set PENPRESS_KEY to a key of this service; `penpress keys create NAME` makes one.\n"
    )
