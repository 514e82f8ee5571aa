"""What people say on pages: a key for each verdict and one for undo, and an audit that shows no score."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, expect

from service.findings.choose import open_store
from service.pb.epcsentinel.v1 import feedback_pb2 as fb
from tests.service.feedback.labels import ask, wait_for_sample
from tests.support.gateway import Gateway
from tests.support.requests import call, request, scan
from tests.support.web.browser import faults_for_people, opened
from tests.support.web.findings import CODE, HOSTILE, START_US, a_report, content
from tests.support.web.server import Web

REPORT = a_report("day.csv", START_US)
FORM = {"Content_Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def keeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that keeps verdicts, asks about every event, and has judged three."""
    with Gateway("--verdicts", str(tmp_path_factory.mktemp("verdicts")), "--audit-share", "1") as running:
        call(running.target, "Analyze", request(*(scan(at, file_id=77) for at in (1, 2, 3))).SerializeToString())
        wait_for_sample(running.target)
        yield running


@pytest.fixture(scope="module")
def web(keeper: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A web service before it, with a report."""
    folder = tmp_path_factory.mktemp("web")
    store = open_store(str(folder / "findings"), max_bytes=2**30, max_days=36_500)
    store.add(REPORT, content(folder))
    store.close()
    with Web(keeper.target, folder / "findings", "--store-max-days", "36500") as running:
        yield running


def said(gateway: Gateway, file_id: int) -> list[tuple[int, str, int]]:
    found = ask(gateway.target, fb.ListLabelsRequest()).labels
    return [(one.event_id, one.kind, one.verdict) for one in found if one.file_id == file_id]


@pytest.mark.parametrize(
    "last",
    ["1", "1:2:3", "a:b", f"{'9' * 5_000}:1", f"{2**63}:1", "%EF%BC%91:2", "1_0:2", "%201:2", "1:2%00", "%1b[2J:1",
     "'%20onload=alert(1):1", "<script>:1"],
)  # fmt: skip
def test_hostile_ids_of_the_audit_page_are_refused(web: Web, last: str) -> None:
    answer = web.get(f"/audit?last={last}")
    assert answer.status == 400, answer.body.decode()
    assert "last is FILE:EVENT" in answer.body.decode()
    assert "<script>:" not in answer.body.decode()


@pytest.mark.parametrize("path", ["/audit", "/labels"])
@pytest.mark.parametrize(
    ("file_id", "event_id", "kind", "verdict"),
    [
        (2**63, 1, "jump", "confirmed"),
        (1, -(2**63) - 1, "jump", "confirmed"),
        ("1;DROP TABLE labels", 1, "jump", "confirmed"),
        ("9" * 5_000, 1, "jump", "confirmed"),
        ("\x00", 1, "jump", "confirmed"),
        ("NaN", 1, "jump", "confirmed"),
        (1, 1, "jump", "x" * 21),
        (1, 1, "jump", "\x1b[2J"),
        (1, 1, "jump", "4"),
    ],
)
def test_hostile_ids_of_labels_are_refused_and_nothing_is_said(  # noqa: PLR0917 - the fields of the form
    web: Web, keeper: Gateway, path: str, file_id: object, event_id: object, kind: str, verdict: str
) -> None:
    before = said(keeper, 1)
    form = {"file_id": file_id, "event_id": event_id, "kind": kind, "verdict": verdict, "jump": verdict}
    answer = web.post(path, urlencode(form).encode(), **FORM)
    assert 400 <= answer.status < 500, answer.body.decode()
    assert said(keeper, 1) == before


def test_findings_of_an_item_are_labelled_by_one_key_each_and_undone(
    browser: Browser, web: Web, keeper: Gateway
) -> None:
    with opened(browser) as page:
        page.goto(f"http://127.0.0.1:{web.port}/reports/{REPORT.report_id}/item?{urlencode({'code': HOSTILE})}")
        rows = page.locator("[data-label-row]")
        expect(rows.first).to_have_class("label-row current")
        for key, shown in (("c", "Confirmed c"), ("r", "False alarm r"), ("u", "Unsure u")):
            rows.first.locator("button").first.focus()
            page.keyboard.press(key)
            expect(rows.first.locator("[aria-pressed=true]")).to_have_text(shown)
        assert [verdict for *_, verdict in said(keeper, REPORT.file_id)] == [fb.LABEL_VERDICT_UNSURE]
        rows.first.locator("button").first.focus()
        page.keyboard.press("z")
        expect(rows.first.locator("[aria-pressed=true]")).to_have_count(0)
        assert said(keeper, REPORT.file_id) == []
        assert faults_for_people(page) == []


def test_the_audit_asks_by_keys_hides_the_scores_and_undoes(browser: Browser, web: Web, keeper: Gateway) -> None:
    with opened(browser) as page:
        page.goto(f"http://127.0.0.1:{web.port}/audit")
        expect(page.locator("h2").first).to_have_text("Event 1")
        assert not page.locator(".score").count()
        assert faults_for_people(page) == []
        page.keyboard.type("crrru")
        page.keyboard.press("s")
        expect(page.locator("h2").first).to_have_text("Event 2")
        verdicts = [verdict for event, _, verdict in said(keeper, 77) if event == 1]
        no = fb.LABEL_VERDICT_REJECTED
        assert verdicts == [fb.LABEL_VERDICT_CONFIRMED, no, no, no, fb.LABEL_VERDICT_UNSURE]
        page.keyboard.press("n")
        expect(page.locator("h2").first).to_have_text("Event 3")
        page.keyboard.press("z")
        expect(page.locator("h2").first).to_have_text("Event 2")
        assert {event for event, *_ in said(keeper, 77)} == {1}


def test_each_key_can_be_read_on_its_button(browser: Browser, web: Web) -> None:
    with opened(browser) as page:
        page.goto(f"http://127.0.0.1:{web.port}/audit")
        colours = page.locator("button kbd").first.evaluate(
            "key => [getComputedStyle(key).color, getComputedStyle(key).backgroundColor]"
        )
        assert colours[0] != colours[1], "white on white; axe leaves texts of one letter out"


def test_the_audit_tells_place_and_time_as_the_file_does(browser: Browser, tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "findings"), max_bytes=2**30, max_days=36_500)
    store.add(REPORT, content(tmp_path))
    store.close()
    first = scan(100, epc_code=CODE.format(1), file_id=REPORT.file_id, seconds=START_US // 10**6)
    with Gateway("--verdicts", str(tmp_path / "verdicts"), "--audit-share", "1") as gateway:
        call(gateway.target, "Analyze", request(first).SerializeToString())
        wait_for_sample(gateway.target)
        with Web(gateway.target, tmp_path / "findings", "--store-max-days", "36500") as web, opened(browser) as page:
            page.goto(f"http://127.0.0.1:{web.port}/audit")
            expect(page.locator("section[aria-labelledby=event] > p").nth(1)).to_have_text(
                "place 1, Factory, Aggregation, 2025-07-01 01:34:17"
            )


def test_nonsense_and_gateways_without_verdicts_are_answered(web: Web, gateway: Gateway, tmp_path: Path) -> None:
    body = urlencode({"file_id": 1, "event_id": 1, "kind": "jump", "verdict": "maybe"}).encode()
    assert web.post("/labels", body, **FORM).status == 400
    elsewhere = urlencode(
        {"file_id": 5, "event_id": 5, "kind": "jump", "verdict": "confirmed", "next": "//evil.example/"}
    ).encode()
    assert web.post("/labels", elsewhere, Origin="http://evil.example", **FORM).status == 403
    assert web.post("/labels", elsewhere, **FORM).headers["location"] == "/"
    assert web.get("/audit?last=x", Accept="text/html").status == 400
    with Web(gateway.target, tmp_path / "findings") as other:
        told = other.get("/audit", Accept="text/html")
    assert told.status == 501
    assert b"--verdicts" in told.body
