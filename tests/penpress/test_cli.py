import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from penpress import __version__
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
    lines = outcome.out.splitlines(keepends=True)
    assert lines[0] == HEADER
    assert [line.partition(",")[0] for line in lines[1:]] == ["scans/a.png", "scans/b.png", "c.png"]
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
    assert outcome.err.startswith("The setting pdf_dpi is wrong: ")


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
    assert err == "Interrupted; what was sent goes on in the service (see penpress jobs).\n"


def test_what_the_operating_system_refuses_is_one_sentence(penpress, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENPRESS_HOME", "/proc/nowhere")
    outcome = penpress("up")
    assert outcome.code == 2
    assert outcome.err.startswith("/proc/nowhere")
    assert outcome.err.count("\n") == 1


def test_down_says_when_there_is_nothing_to_stop(penpress, home: Path) -> None:
    outcome = penpress("down")
    assert (outcome.code, outcome.err) == (1, f"Penpress is not running in {home}.\n")
