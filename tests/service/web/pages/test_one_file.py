"""``analyze --html``: the whole answer in one file."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest

from tests.support.command import HEADER, SAMPLE, assert_one_line, run

HOSTILE = "</title><script>document.title='run'</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What is written of the real sample, with a hostile code in it."""
    folder = tmp_path_factory.mktemp("page")
    raw = folder / "<b>day.tsv"
    header, first = SAMPLE.read_text(encoding="utf-8-sig").splitlines()[:2]
    cells = first.split("\t")
    cells[header.split("\t").index("epc_code")] = HOSTILE
    cells[header.split("\t").index("scan_location")] = "<i>place</i>"
    raw.write_text(SAMPLE.read_text(encoding="utf-8-sig").rstrip("\n") + "\n" + "\t".join(cells) + "\n")
    path = folder / "page.html"
    done = run("analyze", raw, "--html", path, "--language", "ko", "--json")
    assert done.returncode == 0, done.stderr
    assert "epcFakeReason" in json.dumps(json.loads(done.stdout))
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
    for hostile in ("<script", "<img", "<i>place", "<b>day"):
        assert hostile not in without_ours
    assert "&lt;img src=x onerror" in without_ours


def test_what_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    raw = tmp_path / "a.csv"
    raw.write_text(f"{HEADER}forged,1,Factory,Aggregation,2025-07-01 10:35:17\n")
    assert_one_line(run("analyze", raw, "--html", tmp_path / "no" / "page.html"), 1, "page.html", "cannot be written")
