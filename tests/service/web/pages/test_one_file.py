"""``analyze --html``: the whole answer in one file."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.support.command import assert_one_line, run
from tests.support.gateway import Gateway
from tests.support.web.browser import faults_for_people, opened
from tests.support.web.raw import FAST, write_day
from tests.support.worlds import code

IMAGE = "</title><script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is written of a day with a hostile code in it."""
    folder = tmp_path_factory.mktemp("page")
    raw = write_day(folder / "<b>day.tsv")
    raw.write_text(raw.read_text(encoding="utf-8").replace("<script>", IMAGE), encoding="utf-8")
    path = folder / "page.html"
    done = run("analyze", raw, "--html", path, "--language", "ko", "--json")
    assert done.returncode == 0, done.stderr
    assert "epcFakeReason" in json.dumps(json.loads(done.stdout))
    return path


@pytest.fixture(scope="module")
def page(path: Path) -> str:
    """The text of it."""
    return path.read_text(encoding="utf-8")


def test_it_says_what_was_found_in_the_language_asked(page: str) -> None:
    assert '<html lang="ko">' in page
    for part in ("종류별", "이상으로 표시된 이유", "data-map=", 'class="timeline"'):
        assert part in page
    assert "What moved" not in page


def test_only_our_own_script_may_run(page: str) -> None:
    [policy] = re.findall(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy.startswith("default-src 'none'")
    for element in ("script", "style"):
        [content] = re.findall(rf"<{element}>(.*?)</{element}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{element}-src 'sha256-{digest}'" in policy.replace("&#39;", "'")
    without_ours = re.sub(r"<(script|style)>.*?</\1>", "", page, flags=re.DOTALL)
    assert not re.search(r'(src|href)="?(https?:)?//', without_ours)
    assert " style=" not in without_ours


def test_names_and_codes_are_text(page: str) -> None:
    without_ours = re.sub(r"<(script|style)>.*?</\1>", "", page, flags=re.DOTALL)
    for hostile in ("<script", "<img", "<i>here", "<b>day"):
        assert hostile not in without_ours
    assert "&lt;img src=x onerror" in without_ours


def test_it_draws_its_map_by_itself(browser: Browser, path: Path) -> None:
    with opened(browser) as shown:
        shown.goto(path.as_uri())
        expect(shown.locator(".chart canvas")).to_be_visible()
        shown.locator("a.row-link", has_text=code(FAST)).first.click()
        expect(shown.locator(".item:target .map .stop").first).to_be_visible()
        assert not faults_for_people(shown)
        assert shown.title().startswith("<b>day.tsv")


def test_where_nothing_can_be_written_nothing_is_judged(tmp_path: Path) -> None:
    raw = write_day(tmp_path / "day.tsv")
    assert_one_line(run("analyze", raw, "--html", tmp_path / "no" / "page.html"), 2, "--html", "no such folder")


def test_a_gateway_says_what_moved_the_scores_too(gateway: Gateway, tmp_path: Path, page: str) -> None:
    raw, path = write_day(tmp_path / "day.tsv"), tmp_path / "page.html"
    done = run("analyze", raw, "--target", gateway.target, "--html", path)
    assert done.returncode == 0, done.stderr
    rows = 'class="effect-table"'
    assert path.read_text(encoding="utf-8").count(rows) == page.count(rows) > 0
