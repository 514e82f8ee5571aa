"""The contract of the findings store, for each that there is: Parquet files, and a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

from service.events.vocabulary import KINDS
from service.findings.choose import open_store
from service.findings.records import FindingFilter, ReportFilter, Window
from service.findings.schema import report_id
from service.findings.store import FindingsStore, ReportContent
from tests.servers.postgres import Postgres
from tests.support.web.findings import CODE, DAY_US, HOSTILE, START_US, a_report, content

Opened = Callable[..., FindingsStore]


@pytest.fixture(params=["parquet", "postgres"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opened]:
    """Opens the store of the test, again after it was closed."""
    if request.param == "parquet":
        url = str(tmp_path / "kept")
    else:
        server: Postgres = request.getfixturevalue("postgres")
        url = server.create(f"t{abs(hash(request.node.name))}")
    stores: list[FindingsStore] = []

    def open_one(max_bytes: int = 2**30, max_days: int = 400) -> FindingsStore:
        stores.append(open_store(url, max_bytes=max_bytes, max_days=max_days))
        return stores[-1]

    yield open_one
    for store in stores:
        store.close()


@pytest.fixture
def held(tmp_path: Path) -> ReportContent:
    return content(tmp_path)


def test_what_is_kept_is_there_after_a_restart(opened: Opened, held: ReportContent) -> None:
    store = opened()
    report = a_report(warning="it's doubtful")
    assert store.add(report, held)
    assert not store.add(report, held)  # the same file, detector, content and model: one report
    store.close()
    store = opened()
    assert store.report(report.report_id) == report
    assert store.report(1) is None
    assert not store.add(report, held)
    assert [one.event_id for one in store.findings(report.report_id, Window()).rows] == [102, 104, 106]
    assert [(one.kind, one.items) for one in store.incidents(report.report_id, Window()).rows] == [
        ("jump", 2),
        ("epcFake", 1),
    ]
    assert store.incidents(report.report_id, Window(), "epcFake").total == 1


def test_reports_are_listed_newest_first_in_parts_and_by_filters(opened: Opened, held: ReportContent) -> None:
    store = opened()
    for at in range(5):
        store.add(a_report(f"file {at}_%.csv", START_US + at, "lstm" if at == 2 else "rules"), held)
    store.add(a_report("clean.csv", counts=dict.fromkeys(KINDS, 0)), ReportContent())
    listed = store.reports(Window(1, 2))
    assert ([one.file_name for one in listed.rows], listed.total) == (["file 3_%.csv", "file 2_%.csv"], 6)
    assert store.reports(Window(100)).total == 6
    assert not store.reports(Window(100)).rows
    assert store.reports(Window(), ReportFilter(file_name="E 3_%")).total == 1
    assert store.reports(Window(), ReportFilter(file_name="_%%")).total == 0  # letters, no pattern
    assert store.reports(Window(), ReportFilter(file_name="\x00")).total == 0
    assert store.reports(Window(), ReportFilter(detector="lstm")).total == 1
    assert store.reports(Window(), ReportFilter(kind="jump")).total == 5
    assert store.reports(Window(), ReportFilter(since_us=START_US + 1, until_us=START_US + 4)).total == 3


@pytest.mark.parametrize(
    ("which", "ids"),
    [
        (FindingFilter(), [102, 104, 106]),
        (FindingFilter(order="score"), [106, 102, 104]),
        (FindingFilter(kind="jump"), [102, 104]),
        (FindingFilter(kind="jump", min_score=70), [102]),
        (FindingFilter(min_score=70), [102, 106]),
        (FindingFilter(cause="cause_epcfake"), [106]),
        (FindingFilter(kind="jump", cause="cause_epcfake"), []),
        (FindingFilter(location_id=2), []),
        (FindingFilter(epc_code="<script>"), [106]),
        (FindingFilter(epc_code="'); DROP TABLE reports; --"), []),
        (FindingFilter(product="1293291", lot="010004"), [102, 104]),
        (FindingFilter(cause="\x00", epc_code="\x00", product="\x00", lot="\x00"), []),
        (FindingFilter(incident=1), [106]),
        (FindingFilter(since_us=START_US + 3 * DAY_US, until_us=START_US + 6 * DAY_US), [104]),
    ],
    ids=str,
)
def test_findings_by_filters(opened: Opened, held: ReportContent, which: FindingFilter, ids: list[int]) -> None:
    store, report = opened(), a_report()
    store.add(report, held)
    listed = store.findings(report.report_id, Window(), which)
    assert ([one.event_id for one in listed.rows], listed.total) == (ids, len(ids))
    assert [one.event_id for one in store.findings(report.report_id, Window(1, 1), which).rows] == ids[1:2]


def test_a_finding_is_as_it_was_given(opened: Opened, held: ReportContent) -> None:
    store, report = opened(), a_report()
    store.add(report, held)
    [found] = store.findings(report.report_id, Window(2)).rows
    assert (found.number, found.epc_code, found.place) == (6, HOSTILE, "place 1")
    [kind] = found.kinds
    assert (kind.kind, kind.score, kind.cause, kind.reason, kind.incident) == (
        "epcFake",
        99.0,
        "cause_epcfake",
        f"why {HOSTILE}",
        1,
    )
    assert store.findings(1, Window()).total == 0


def test_groups(opened: Opened, held: ReportContent) -> None:
    store, report = opened(), a_report()
    store.add(report, held)
    groups = {by: store.groups(report.report_id, by) for by in ("day", "place", "product", "lot", "cause")}
    assert [(one.key, one.counts["jump"]) for one in groups["day"]] == [
        ("2025-07-03", 1),
        ("2025-07-05", 1),
        ("2025-07-07", 0),
    ]
    assert [(one.key, one.name, sum(one.counts.values())) for one in groups["place"]] == [("1", "place 1", 3)]
    assert [(one.key, sum(one.counts.values())) for one in groups["product"]] == [("1293291", 2), ("", 1)]
    assert [(one.key, sum(one.counts.values())) for one in groups["lot"]] == [("010004", 2), ("", 1)]
    assert [(one.key, sum(one.counts.values())) for one in groups["cause"]] == [("cause_jump", 2), ("cause_epcfake", 1)]


def test_an_item_and_its_mates(opened: Opened, held: ReportContent) -> None:
    store, report = opened(), a_report()
    store.add(report, held)
    [scans, none, others] = store.items(report.report_id, [CODE.format(1), "no such code", CODE.format(2)])
    assert [(one.event_id, [kind.kind for kind in one.kinds]) for one in scans] == [
        (100, []),
        (101, []),
        (102, ["jump"]),
    ]
    assert none == []
    assert {scan.epc_code for scan in others} == {CODE.format(2)}
    assert store.items(report.report_id, []) == []
    [[hostile]] = store.items(report.report_id, [HOSTILE])
    assert hostile.kinds
    [mate] = store.mates(report.report_id, CODE.format(1), 10)
    assert (mate.epc_code, mate.scans, mate.findings) == (CODE.format(2), 2, 1)
    assert store.mates(report.report_id, HOSTILE, 10) == []
    assert store.items(report.report_id, ["\x00"]) == [[]]


def test_the_oldest_go_where_there_is_no_room(opened: Opened, held: ReportContent) -> None:
    store = opened(max_days=30)
    for day in (0, 1, 31):
        store.add(a_report(f"{day}.csv", START_US + day * DAY_US), held)
    assert [one.file_name for one in store.reports(Window()).rows] == ["31.csv", "1.csv"]
    store.close()
    store = opened(max_bytes=2)
    store.add(a_report("32.csv", START_US + 32 * DAY_US), held)
    assert [one.file_name for one in store.reports(Window()).rows] == ["32.csv"]
    assert store.findings(report_id("1.csv", "rules", "c" * 64, ""), Window()).total == 0


def test_a_very_long_code_is_kept(opened: Opened, tmp_path: Path) -> None:
    long = "x" * 100_000
    held, report = content(tmp_path), a_report()
    with duckdb.connect() as editor:
        source = f"read_parquet('{held.scans[0]}')"
        editor.execute(
            f"COPY (SELECT * REPLACE ('{long}' AS epc_code) FROM {source}) TO '{tmp_path / 'l'}' (FORMAT parquet)"
        )
    store = opened()
    store.add(report, ReportContent([tmp_path / "l"], held.findings, held.incidents))
    assert len(store.items(report.report_id, [long])[0]) == 7


def test_ids_of_reports_are_numbers_that_javascript_keeps() -> None:
    ids = {report_id(name, "rules", "c" * 64, "") for name in map(str, range(1000))}
    assert len(ids) == 1000
    assert max(ids) < 2**53
