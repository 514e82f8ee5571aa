"""Findings that are one story, and those that are not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np

from service.explain.incidents import Findings, incidents
from tests.service.explain.journeys import case_of
from tests.support.worlds import Scan, code, journey

LATE, FAKE = 4, 0  # kinds


def found(scans: list[Scan], which: list[tuple[int, int, int]]) -> list[tuple[list[int], int]]:
    """Return the incidents of findings (place in ``scans``, kind, cause): their places, and how many items."""
    case = case_of(scans)
    at, kind, cause = (np.array(column) for column in zip(*which, strict=True))
    made = incidents(case.journeys, Findings(case.rows[at], kind, cause))
    return [([which[number][0] for number in one.findings.tolist()], one.items) for one in made]


def items(count: int, **changed: object) -> list[Scan]:
    return [replace(scan, **changed) for serial in range(count) for scan in journey(code(serial))]  # type: ignore[arg-type]


LENGTH = len(journey(code(0)))


def test_items_of_a_lot_that_come_together_are_one_incident_the_largest_first() -> None:
    scans = items(3)
    which = [(2, LATE, 7), *((item * LENGTH + 3, LATE, 7) for item in range(3))]
    # The first item is late twice in the same way: one story, which begins at its first finding.
    assert found(scans, which[1:]) == [([3, 3 + LENGTH, 3 + 2 * LENGTH], 3)]
    assert found(scans, which) == [([3 + LENGTH, 3 + 2 * LENGTH], 2), ([2, 3], 1)]


def test_another_kind_cause_lot_place_or_departure_is_another_incident() -> None:
    scans = items(2)
    pair = [3, 3 + LENGTH]
    assert len(found(scans, [(pair[0], LATE, 7), (pair[1], LATE, 8)])) == 2
    assert len(found(scans, [(pair[0], LATE, 7), (pair[1], FAKE, 7)])) == 2
    elsewhere = [replace(scan, location_id=14) if at == pair[1] else scan for at, scan in enumerate(scans)]
    assert len(found(elsewhere, [(at, LATE, 7) for at in pair])) == 2
    behind = timedelta(hours=5)
    later = [*scans[:LENGTH], *(replace(scan, time=scan.time + behind) for scan in scans[LENGTH:])]
    assert len(found(later, [(at, LATE, 7) for at in pair])) == 2
    other_lot = [*journey(code(0)), *journey(code(0, lot=10_005))]
    assert len(found(other_lot, [(at, LATE, 7) for at in pair])) == 2


def test_a_shipment_lasts_two_hours_from_its_first_item_whatever_the_clock_says() -> None:
    scans = items(3)
    late = [(item * LENGTH + 3, LATE, 7) for item in range(3)]
    for clock_minutes in range(0, 120, 20):
        shifted = [
            replace(scan, time=scan.time + timedelta(minutes=clock_minutes + at // LENGTH * 70))  # 0, 70, 140 minutes
            for at, scan in enumerate(scans)
        ]
        assert found(shifted, late) == [([3, 3 + LENGTH], 2), ([3 + 2 * LENGTH], 1)]


def test_a_forged_item_is_one_story_over_its_journey_and_malformed_codes_are_apart() -> None:
    scans = [*journey("forged 1"), *journey("forged 2")]
    every = [(at, FAKE, 0) for at in range(len(scans))]
    assert found(scans, every) == [(list(range(LENGTH)), 1), (list(range(LENGTH, 2 * LENGTH)), 1)]


def test_each_finding_is_in_one_incident() -> None:
    scans, rng = items(12), np.random.default_rng(2)
    flags = np.argwhere(rng.random((len(scans), 5)) < 0.4).tolist()
    which = [(at, kind, int(rng.integers(3))) for at, kind in flags]
    made = found(scans, which)
    assert sorted(at for places, _ in made for at in places) == sorted(at for at, _, _ in which)


def test_nothing_found_is_no_incident() -> None:
    case = case_of(items(1))
    none = np.zeros(0, dtype=np.intp)
    assert incidents(case.journeys, Findings(none, none, none)) == []
