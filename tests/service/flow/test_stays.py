"""Visits of items to sites: what is scanned, and what a rule puts in where a gate missed a scan."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import numpy as np

from service.flow.stays import STILL_THERE, Known, Stays, stays_of
from tests.support.worlds import EPOCH, HOURS, ROUTE, START, Scan, code, journey, to_events

HOUR = timedelta(hours=1)
AGGREGATED, WMS_IN, WMS_OUT, HUB_IN, HUB_OUT = range(5)  # places in a normal journey


def stays(*journeys: Sequence[Scan]) -> Stays:
    return stays_of(to_events([scan for scans in journeys for scan in scans]))


def without(scans: list[Scan], *missed: int) -> list[Scan]:
    return [scan for at, scan in enumerate(scans) if at not in missed]


def hours(times_us: np.ndarray) -> list[float]:
    """Return times in hours since the start of the world."""
    start_us = (START - EPOCH) // timedelta(microseconds=1)
    return [round((time - start_us) / 3.6e9, 6) for time in times_us.tolist()]


def test_a_whole_journey_is_a_stay_at_each_place() -> None:
    found = stays(journey(code(1)))
    assert found.location_id.tolist() == [1, 5, 13, 23, 74, 74]
    assert found.step.tolist() == [0, 1, 2, 3, 4, 5]
    assert hours(found.arrived_us) == [0, 1, 110, 308, 504, 640]
    # Nobody scans items out of a factory: they left the usual transit, here not known, before the next scan.
    assert hours(found.left_us) == [1, 100, 300, 500, 600, 640]
    assert found.departure.tolist() == [Known.BY_RULE, *[Known.SCANNED] * 5]
    assert found.sold.tolist() == [False] * 5 + [True]
    assert hours(found.first_us) == [0] * 6


def test_an_item_that_was_not_seen_again_is_still_there() -> None:
    found = stays(journey(code(1))[:4])
    assert found.left_us[-1] == STILL_THERE
    assert found.has_left.tolist() == [True, True, False]


def test_reads_again_are_the_same_stay_and_a_scan_in_after_one_out_is_another() -> None:
    scans = journey(code(1))[:5]
    again = [*scans[:2], scans[1], *scans[2:]]
    assert len(stays(again)) == len(stays(scans)) == 3
    back = [Scan(code(1), "HUB_Inbound", 13, scans[-1].time + HOUR)]
    assert hours(stays([*scans, *back]).arrived_us) == [0, 1, 110, 301]


def test_a_missed_scan_out_is_the_usual_transit_before_the_next_scan_in() -> None:
    transit = HOURS[HUB_IN] - HOURS[WMS_OUT]
    late = [HOURS[at] + (30 if at >= HUB_IN else 0) for at in range(len(HOURS))]
    found = stays(journey(code(1)), journey(code(2)), without(journey(code(3), ROUTE, late), WMS_OUT))
    of_third = found.take(found.epc == 2)
    assert of_third.departure[1] == Known.BY_RULE
    assert hours(of_third.left_us)[1] == HOURS[HUB_IN] + 30 - transit


def test_a_missed_scan_in_is_the_usual_transit_after_the_last_scan_out() -> None:
    found = stays(journey(code(1)), without(journey(code(2)), HUB_IN))
    of_second = found.take(found.epc == 1)
    assert of_second.arrival.tolist() == [0, 0, Known.BY_RULE, 0, 0, 0]
    assert hours(of_second.arrived_us)[2] == HOURS[HUB_IN]


def test_a_rule_never_leaves_before_the_last_scan_nor_comes_after_the_first() -> None:
    quick = [0, 1, 100, 101, 300, 308, 500, 504, 600, 640]  # one hour on a lane that takes ten
    found = stays(
        journey(code(1)),
        without(journey(code(2), ROUTE, quick), WMS_OUT),
        without(journey(code(3), ROUTE, quick), HUB_IN),
    )
    assert (found.left_us >= found.arrived_us).all()
    for item in range(3):
        one = found.take(found.epc == item)
        assert (one.arrived_us[1:] >= one.left_us[:-1]).all()
