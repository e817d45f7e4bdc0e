"""What answers tell browsers, and that the pages can live with it."""

import re
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api import app as app_module
from api.headers import ANSWER_POLICY, PAGE_POLICY
from tests.pictures import png

WEB = Path(app_module.__file__).parent / "web"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(1)</script></svg>'
HTML = b"<!doctype html><script>alert(1)</script>"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 200),
        ("/docs", 200),
        ("/web/page.js", 200),
        ("/jobs", 200),
        ("/jobs/x", 422),
        ("/nothing", 404),
        ("/openapi.json", 200),
    ],
)
def test_every_answer_is_guarded(client: TestClient, path: str, status: int) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    is_guarded(answer)


def is_guarded(answer: Any) -> None:
    headers = answer.headers
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
    is_page = headers["content-type"].startswith("text/html")
    assert headers["content-security-policy"] == (PAGE_POLICY if is_page else ANSWER_POLICY)
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["cache-control"].startswith("private")
    assert {"Authorization", "X-API-Key"} <= {name.strip() for name in headers["vary"].split(",")}
    assert not [name for name in headers if name.startswith("access-control-")]


def test_refusals_from_outside_of_the_routes_are_guarded(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    is_guarded(client.get("/jobs", headers={"Host": "evil.example"}))
    monkeypatch.setattr("store.jobs.list_jobs", lambda *_, **__: 1 / 0)
    broken = client.get("/jobs")
    assert broken.status_code == 500
    is_guarded(broken)


def test_nobody_is_offered_cross_origin_access(client: TestClient) -> None:
    asked = {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "POST"}
    preflight = client.options("/jobs", headers=asked)
    assert preflight.status_code == 405
    is_guarded(preflight)
    is_guarded(client.get("/jobs", headers=asked))


def test_policies_allow_nothing_inline_and_nothing_from_elsewhere() -> None:
    assert "unsafe" not in PAGE_POLICY + ANSWER_POLICY
    assert "http" not in PAGE_POLICY + ANSWER_POLICY
    assert PAGE_POLICY.startswith("default-src 'none'; script-src 'self'; style-src 'self';")


@pytest.mark.parametrize("page", sorted(WEB.glob("*.html")), ids=lambda page: page.name)
def test_pages_keep_to_their_policy(page: Path) -> None:
    text = page.read_text()
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=|javascript:", text) == []
    assert [link for link in re.findall(r'(?:src|href)="([^"]*)"', text) if not link.startswith(("/", "data:,"))] == []


@pytest.mark.parametrize("script", sorted(WEB.glob("*.js")), ids=lambda script: script.name)
def test_scripts_make_no_markup_and_store_nothing_for_long(script: Path) -> None:
    text = script.read_text()
    assert (
        re.findall(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|localStorage|cookie|\.style\b", text
        )
        == []
    )
    assert re.findall(r"https?://", text) == []


@pytest.mark.parametrize(("name", "data"), [("a.svg", SVG), ("a.html", HTML), ("a.png", HTML), ("a.jpg", SVG)])
def test_an_upload_that_is_a_page_is_never_served(client: TestClient, finished: Any, name: str, data: bytes) -> None:
    job = finished({name: data, "good.png": png()})
    items = client.get(job["links"]["results"]).json()["items"]
    bad = next(item for item in items if item["file"] == name)
    assert bad["status"] == "failed"
    for path in (f"/predictions/{bad['id']}/image", f"/predictions/{bad['id']}/gradcam.png"):
        answer = client.get(path)
        assert answer.headers["content-type"] == "application/problem+json"
        assert b"<script" not in answer.content
        is_guarded(answer)


def test_images_are_drawn_anew_and_sandboxed(client: TestClient, predicted: dict[str, Any]) -> None:
    answer = client.get(predicted["links"]["image"])
    assert answer.headers["content-type"] == "image/jpeg"
    is_guarded(answer)
