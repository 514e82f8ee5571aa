"""The pages in a real Chromium: by keys, in both languages, with hostile codes and a hundred thousand rows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import duckdb
import pytest
from playwright.sync_api import Browser, expect

from service.findings.choose import open_store
from service.findings.schema import FINDINGS, INCIDENTS, SCANS
from service.findings.store import ReportContent
from service.web.pages.item import MOST_MATES
from tests.support.gateway import Gateway
from tests.support.web.browser import faults_for_people, opened, tab_to
from tests.support.web.findings import HOSTILE, START_US, a_report, content
from tests.support.web.raw import FAST, write_day
from tests.support.web.server import Web
from tests.support.worlds import code

MANY = 100_000
LARGE = a_report("large.csv", START_US + 1, events=MANY, items=MANY // 4, flagged=MANY, warning="a <b>warning</b>")
SMALL = a_report("<i>small.csv", START_US + 2)


@pytest.fixture(scope="module")
def pages(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a web service that has a report with a hostile code, and one of many findings."""
    folder = tmp_path_factory.mktemp("pages")
    store = open_store(str(folder / "findings"), max_bytes=2**30, max_days=36_500)
    store.add(LARGE, _many(folder))
    store.add(SMALL, content(folder))
    store.close()
    with Web(gateway.target, folder / "findings", "--store-max-days", "36500") as running:
        yield f"http://127.0.0.1:{running.port}"


def _many(folder: Path) -> ReportContent:
    """Write a hundred thousand findings of jump, each its own event."""
    given = {
        "number": "n", "event_id": "n + 1", "location_id": "1 + n % 50", "place": "'place ' || (1 + n % 50)",
        "epc_code": "printf('001.8804823.1293291.010004.20250701.%09d', n // 4)", "step": "'WMS'",
        "event_type": "'WMS_Inbound'", "time_us": f"{START_US} + n * 60000000", "product": "'1293291'",
        "local_us": f"{START_US} + n * 60000000", "lot_key": "'001.8804823.1293291.010004'", "lot": "'010004'",
        "jump_score": "50 + n % 50", "jump_cause": "'stalled'", "jump_reason": "'why ' || n", "jump_incident": "0",
        "top_score": "50 + n % 50",
    }  # fmt: skip
    paths = {}
    with duckdb.connect() as writer:
        for table, columns, rows in (("scans", SCANS, MANY), ("findings", FINDINGS, MANY), ("incidents", INCIDENTS, 0)):
            told = [
                f"CAST({given.get(name, 'NULL')} AS {of.replace('DOUBLE PRECISION', 'DOUBLE')}) AS {name}"
                for name, of in columns.items()
                if name != "report_id"
            ]
            paths[table] = folder / f"many-{table}.parquet"
            writer.execute(
                f"COPY (SELECT {', '.join(told)} FROM range({rows}) r(n)) TO '{paths[table]}' (FORMAT parquet)"
            )
    return ReportContent([paths["scans"]], [paths["findings"]], [paths["incidents"]])


def test_from_a_file_to_an_item_by_keys_alone(browser: Browser, pages: str, tmp_path: Path) -> None:
    raw = write_day(tmp_path / "day.tsv")
    with opened(browser) as page:
        page.goto(pages)
        expect(page).to_have_url(f"{pages}/files")
        page.set_input_files("input[type=file]", str(raw))
        page.focus("input[type=file]")
        tab_to(page, "Upload")
        page.keyboard.press("Enter")
        expect(page.locator(".uploads a")).to_be_focused(timeout=30_000)
        expect(page.locator("section[aria-labelledby=list] tbody a").first).to_have_text("day.tsv")
        expect(page.locator(".uploads a")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_have_text("day.tsv")
        expect(page.locator(".chart canvas")).to_be_visible()
        tab_to(page, "Findings")
        page.keyboard.press("Enter")
        expect(page.locator(".incidents tbody tr").first).to_be_visible()
        expect(page.locator(".is-long tbody td.waits")).to_have_count(0)
        page.keyboard.press("j")
        page.keyboard.press("End")
        expect(page.locator("tr.current a")).to_contain_text("<script>")
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_contain_text("<script>alert('x')</script>")
        expect(page.locator(".reason").first).not_to_be_empty()
        expect(page.locator(".map .stop").first).to_be_visible()
        assert not faults_for_people(page)
        page.keyboard.press("Escape")
        expect(page.locator("tr.current a")).to_contain_text("<script>")


def test_the_first_report_stands_in_the_list_as_soon_as_it_is_judged(
    browser: Browser, gateway: Gateway, tmp_path: Path
) -> None:
    raw = write_day(tmp_path / "day.tsv")
    with Web(gateway.target, tmp_path / "findings") as web, opened(browser) as page:
        page.goto(f"http://127.0.0.1:{web.port}/files")
        listed = page.locator("section[aria-labelledby=list]")
        expect(listed).to_contain_text("None yet")
        assert ".gz" in str(page.locator("input[type=file]").get_attribute("accept"))
        page.set_input_files("input[type=file]", str(raw))
        page.click("text=Upload")
        expect(listed.locator("tbody a").first).to_have_text("day.tsv", timeout=30_000)
        (bad := tmp_path / "bad.csv").write_text("who,what\n")
        page.set_input_files("input[type=file]", str(bad))
        page.click("text=Upload")
        line = page.locator(".upload-line").filter(has_text="bad.csv")
        for _ in ("as it fails", "when the page is loaded again"):
            expect(line).to_contain_text("bad.csv: failed – line 1: no column epc_code", timeout=30_000)
            page.reload()


def test_an_item_shows_what_moved_its_scores_beside_its_mates(browser: Browser, pages: str, tmp_path: Path) -> None:
    with opened(browser) as page:
        page.goto(f"{pages}/files")
        if not page.locator("text=day.tsv").count():
            page.set_input_files("input[type=file]", str(write_day(tmp_path / "day.tsv")))
            page.click("text=Upload")
        page.locator("a", has_text="day.tsv").or_(page.locator(".uploads a")).first.click()
        page.click(".tabs >> text=Findings")
        page.locator("a.epc", has_text=code(FAST)).first.click()
        page.locator("details.effects summary").first.click()
        expect(page.locator(".effect-table").first).to_be_visible()
        expect(page.locator(".timeline .band").first).to_be_visible()
        expect(page.locator(".timeline .mate-dot").first).to_be_visible()
        expect(page.locator(".mates tbody tr")).to_have_count(MOST_MATES)
        expect(page.locator(".scans tbody tr").nth(3)).to_contain_text("early")


def test_both_languages_and_the_choice_stays(browser: Browser, pages: str) -> None:
    with opened(browser, locale="ko-KR") as page:
        page.goto(f"{pages}/reports/{SMALL.report_id}/findings")
        expect(page.locator("h1")).to_have_text("이상")
        page.click("text=English")
        expect(page).to_have_url(f"{pages}/reports/{SMALL.report_id}/findings")
        expect(page.locator("h1")).to_have_text("Findings")
        page.goto(f"{pages}/status")
        expect(page.locator("html")).to_have_attribute("lang", "en")
        expect(page.locator(".state")).to_have_text("judges")
        assert not faults_for_people(page)


def test_what_is_hostile_is_text_everywhere(browser: Browser, pages: str) -> None:
    with opened(browser) as page:
        for path in ("files", f"reports/{SMALL.report_id}", f"reports/{SMALL.report_id}/findings"):
            page.goto(f"{pages}/{path}")
            expect(page.locator("main")).to_contain_text("<i>small.csv")
            assert not faults_for_people(page)
        page.click(f"a.epc >> text={HOSTILE[:20]}")
        expect(page.locator("h1")).to_contain_text(HOSTILE)
        expect(page.locator("main i, main script")).to_have_count(0)


def test_a_hundred_thousand_findings_scroll_and_filters_stand_in_the_address(browser: Browser, pages: str) -> None:
    with opened(browser) as page:
        begun = time.monotonic()
        page.goto(f"{pages}/reports/{LARGE.report_id}/findings")
        expect(page.locator("h2#rows")).to_have_text("100,000 flagged events")
        expect(page.locator("main")).to_contain_text("a <b>warning</b>")
        page.keyboard.press("j")
        page.keyboard.press("End")
        last = page.locator("tr.current")
        expect(last).to_have_attribute("aria-rowindex", str(MANY + 1))
        expect(last).to_contain_text("000024999")
        assert page.locator(".is-long tbody tr").count() < 80
        page.evaluate("document.querySelector('.is-long').scrollTop = 44 * 50000")
        expect(page.locator('tr[data-row="50010"] a')).to_contain_text("000012502")
        assert time.monotonic() - begun < 10
        page.select_option("select[name=place]", "7")
        expect(page.locator("h2#rows")).to_have_text("2,000 flagged events")
        assert "place=7" in page.url
        page.reload()
        expect(page.locator("select[name=place]")).to_have_value("7")


def test_without_script_everything_can_be_read(browser: Browser, pages: str) -> None:
    with opened(browser, java_script_enabled=False) as page:
        page.goto(f"{pages}/reports/{LARGE.report_id}/findings?place=7")
        expect(page.locator(".box-long tbody tr")).to_have_count(100)
        page.click("text=Later rows")
        expect(page.locator(".box-long tbody tr")).to_have_count(100)
        assert "place=7" in page.url
        assert "offset=100" in page.url
        page.locator(".box-long a").first.click()
        expect(page.locator(".timeline")).to_be_visible()
        expect(page.locator(".scans tbody tr")).to_have_count(4)


def test_what_is_not_there_is_a_page_too(pages: str) -> None:
    for path in ("/reports/7", "/reports/x", f"/reports/{2**60}/findings", f"/reports/{SMALL.report_id}/item?code=%00"):
        with pytest.raises(HTTPError) as refused:
            urlopen(Request(pages + path, headers={"Accept": "text/html"}))
        assert (refused.value.code, refused.value.headers["content-type"]) == (404, "text/html; charset=utf-8")
        assert "There is no such page" in refused.value.read().decode()
