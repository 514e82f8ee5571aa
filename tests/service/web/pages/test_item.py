"""The page of an item: what it says of a journey, and where it draws it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest

from service.features.keys import scan_key
from service.findings.records import KindFound, ScanRow
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from service.web.pages.atlas import Atlas, UsualLeg
from service.web.pages.effects import effect_bars, moves_of
from service.web.pages.item import MOST_MATES, code_parts, item_page
from service.web.pages.templating import render
from service.web.pages.timeline import LEFT, WIDTH, timeline
from tests.support.gateway import ROOT
from tests.support.web.findings import HOSTILE
from tests.support.worlds import EPOCH, HOURS, Scan, code, journey

HOUR_US = 3_600_000_000
LATE = KindFound("jump", 99.25, "slow_transit", "it took <b>long</b>", 0)
BUNDLED = Atlas.at_hand(ROOT / "model_repository", None)


def seen(scans: Sequence[Scan], flagged: int | None = None) -> list[ScanRow]:
    """Return scans as a store gives them, one of them flagged."""
    made = []
    for at, scan in enumerate(scans):
        time_us = int((scan.time - EPOCH).total_seconds()) * 1_000_000
        place, kinds = f"place {scan.location_id}", (LATE,) if at == flagged else ()
        told = (scan.code, scan.location_id, place, "WMS", scan.event_type, time_us, time_us + 9 * HOUR_US, kinds)
        made.append(ScanRow(at, at + 1, *told))
    return made


def test_legs_are_told_with_what_is_usual() -> None:
    scans = seen(journey(code(1)), flagged=3)
    page = item_page(scans, [], {}, BUNDLED, "en")
    assert [line.took for line in page.lines[:3]] == ["", "1 hour", "4.1 days"]
    reference = BUNDLED._reference
    assert reference is not None
    keys = scan_key(reference.place_of(np.array([1, 5])), np.array([0, 1]))
    row = np.flatnonzero(reference.lane.key == reference.lane_key(keys[:1], keys[1:])[0])
    usual = BUNDLED.usual(scans)
    assert usual[0] is None
    assert usual[1] is not None
    assert usual[1].median == pytest.approx(np.expm1(reference.lane_gap[row[0], 1]))
    assert [line.verdict for line in page.lines[:2]] == ["", "usual"]
    late = item_page(seen(journey(code(1), hours=(0, 1, 5_000))), [], {}, BUNDLED, "en")
    assert late.lines[2].verdict == "late"
    assert [(reason.scans, reason.found) for reason in page.reasons] == [(((4, 4, 99.25),), LATE)]


def test_without_a_model_nothing_is_usual_and_there_is_no_map() -> None:
    atlas = Atlas.at_hand(ROOT / "tests" / "data", None)
    page = item_page(seen(journey(code(1))), [], {}, atlas, "en")
    assert not page.map_json
    assert {line.verdict for line in page.lines} == {""}
    assert all(row.band is None for row in page.drawing.rows)


def test_the_time_line_is_in_order_and_inside() -> None:
    scans = seen(journey(code(1)))
    mates = [seen(journey(code(serial), hours=[hour + serial for hour in HOURS])) for serial in (2, 3)]
    usual = [None, *(UsualLeg(30, 60, 6_000, 10) for _ in scans[1:])]
    drawn = timeline(scans, usual, mates)
    assert [row.scan for row in drawn.rows] == scans
    assert all(before.x <= after.x and before.y < after.y for before, after in pairwise(drawn.rows))
    for row in drawn.rows:
        assert all(LEFT <= x <= WIDTH for x in (row.x, *row.mates, *(row.band or ())))
        assert len(row.mates) == 2
    assert 2 <= len(drawn.ticks) <= 9
    assert drawn.rows[1].band is not None
    assert drawn.rows[0].x < drawn.rows[1].band[0] < drawn.rows[1].band[2] < drawn.rows[1].band[1]


def test_times_of_no_calendar_are_drawn_too() -> None:
    times = [-(2**62), 0, 2**62]
    scans = [ScanRow(at, at, "x", 1, "", "", "", time, time) for at, time in enumerate(times)]
    page = item_page(scans, [], {}, BUNDLED, "en")
    assert len(page.drawing.rows) == 3
    assert "us" in render_item(page)


def test_mates_are_few_and_stops_of_one_place_are_one() -> None:
    mates = [seen(journey(code(serial))) for serial in range(2, 30)]
    page = item_page(seen(journey(code(1)), flagged=9), mates, {}, BUNDLED, "en")
    assert len(page.mates) == MOST_MATES
    drawn = json.loads(page.map_json)
    assert [(stop["first"], stop["last"], stop["flagged"]) for stop in drawn["stops"]] == [
        (1, 1, False), (2, 3, False), (4, 5, False), (6, 7, False), (8, 10, True),
    ]  # fmt: skip
    assert len(drawn["mates"]) == MOST_MATES


def test_effects_are_bars_around_the_middle() -> None:
    effects = [pb.FeatureEffect(feature=name, value=1, effect=effect) for name, effect in (("a", 40), ("b", -20))]
    one, other = effect_bars(effects)
    assert (one.begin, one.width, other.begin, other.width) == (50, 50, 25, 25)
    assert effect_bars([]) == ()
    explained = [pb.Explanation(kind="jump", flagged=True, effects=effects), pb.Explanation(kind="locErr")]
    assert list(moves_of([pb.ExplainResponse(event_id=3, explanations=explained)])) == [(3, "jump")]


def test_a_code_that_is_a_script_is_text() -> None:
    rows = [ScanRow(0, 1, HOSTILE, 1, HOSTILE, HOSTILE, HOSTILE, 0, 0, (LATE,))]
    page = render_item(item_page(rows, [rows], {}, BUNDLED, "en"))
    assert "<script" not in page
    assert "&lt;script&gt;alert(" in page
    assert "it took &lt;b&gt;long" in page


def test_parts_of_a_code() -> None:
    assert dict(code_parts(code(7)))["serial"] == "000000007"
    assert code_parts("1.2") == ()


def render_item(page: object) -> str:
    """Return the part of a page that shows an item."""
    return render("_item.html", "en", item=page, in_one_file=False, item_href=lambda _code: "")
