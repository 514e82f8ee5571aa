"""Each rule fires where it should and not on the item's normal mate; normal journeys give no finding."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from numpy.typing import NDArray

from service.detect import rules
from service.events.columns import Events
from service.events.journeys import Journeys
from service.events.vocabulary import EVENT_TYPES, KINDS
from service.features.reference import Counts, Reference
from service.features.table import compute
from service.rawfiles.columns import read_files
from tests.support import worlds
from tests.support.worlds import HOURS, OTHER_LOT, ROUTE, Scan, code, journey, to_events
from training.samples.reference import learn

BAD, MATE = code(4_010), code(4_011)

_SOLD = journey(BAD)


def _hub_arrival(hours: float, place: int = 13) -> list[Scan]:
    """Return an item's way to a hub, which takes it so long."""
    return journey(BAD, (*ROUTE[:3], place), (*HOURS[:3], HOURS[2] + hours))


def _in_order(*numbers: int) -> list[Scan]:
    """Return the item's normal scans of these numbers, in this order, at the times of a normal journey."""
    return journey(BAD, [ROUTE[at] for at in numbers], HOURS, [EVENT_TYPES[at] for at in numbers])


WORLDS: dict[str, list[Scan]] = {
    "the code is malformed": journey("001.8804823"),
    "the company never issued codes": journey(BAD.replace("8804823", "1111111")),
    "the header was never issued": journey("999" + BAD[3:]),
    "the product belongs to another company": journey(BAD.replace("8804823", "8805843")),
    "the product was never issued": journey(code(4_010, product=7)),
    "the lot belongs to another product": journey(code(4_010, lot=OTHER_LOT)),
    "the lot was never issued and has no other items": journey(code(4_010, lot=99)),
    "the date is no date": journey(code(4_010, date="20250230")),
    "scanned before it was made": journey(code(4_010, date="20250703")),
    "the date is not one of the lot's": journey(code(4_010, date="20250630")),
    "the serial is outside of the lot's": journey(code(900_000)),
    "first seen downstream, with no mates there": journey(BAD, (14,), types=("HUB_Inbound",)),
    "two places in the same second": [*_hub_arrival(10), replace(_hub_arrival(10)[-1], location_id=75)],
    "two places at the same time": [*_hub_arrival(10), *_hub_arrival(10.1, place=14)[-1:]],
    "alive after its sale": [*_SOLD, replace(_SOLD[-2], time=_SOLD[-1].time + timedelta(days=9))],
    "back and forth between two places": journey(BAD, (5, 13, 5), (0, 0.5, 1), EVENT_TYPES[1:4]),
    "backwards in the hierarchy": _in_order(0, 1, 2, 3, 2),
    "a level of the hierarchy is skipped": _in_order(0, 1, 2, 5),
    "no item takes this lane": _hub_arrival(10, place=75),
    "the product never goes there": _hub_arrival(10, place=14),
    "its mates went elsewhere": _hub_arrival(10, place=14),
    "outbound before inbound": _in_order(0, 2, 1),
    "inbound twice without outbound": _in_order(0, 1, 1),
    "an earlier scan was further on": _in_order(0, 1, 2, 4, 3),
    "the clock was rolled back": [replace(scan, event_id=9_999 - at) for at, scan in enumerate(journey(BAD))],
    "faster than anything travels": _hub_arrival(0.1),
    "faster than the route's minimum": _hub_arrival(3),
    "slower than the route's maximum": _hub_arrival(400),
    "faster than this lane ever was": _hub_arrival(1),
    "slower than this lane ever was": _hub_arrival(400),
    "its mates took another time": _hub_arrival(1),
}
"""By reason: the scans of an item that the rule must find among its normal mates."""


@cache
def _experienced() -> Reference:
    """Return the reference of a trade that has seen every normal scan two hundred times over."""
    reference = worlds.reference()

    def more(seen: Counts) -> Counts:
        return Counts(seen.key, seen.count * 200)

    return replace(
        reference,
        type_pair=reference.type_pair * 200,
        scan=more(reference.scan),
        lane=more(reference.lane),
        product_scan=more(reference.product_scan),
        product_type=more(reference.product_type),
    )


def _judged(events: Events, reference: Reference) -> tuple[Journeys, NDArray[np.float32]]:
    journeys = Journeys.of(events)
    return journeys, compute(journeys, reference, causal=False)


def _of_item(journeys: Journeys, item: str) -> NDArray[np.bool_]:
    return np.equal(journeys.events.epc, journeys.events.epc_codes.index(item))


def test_every_rule_has_its_world() -> None:
    assert sorted(rule.reason for rule in rules.RULES) == sorted(WORLDS)
    assert {rule.kind for rule in rules.RULES} == set(KINDS)


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.reason)
def test_a_rule_finds_the_bad_item_and_not_its_mate(rule: rules.Rule) -> None:
    scans = WORLDS[rule.reason]
    world = [scan for scan in worlds.normal_scans() if scan.code != BAD] + scans
    journeys, table = _judged(to_events(world), _experienced())
    evidence = rule.evidence(rules.Table(table))
    assert evidence[_of_item(journeys, scans[0].code)].max() >= rules.THRESHOLD
    assert evidence[_of_item(journeys, MATE)].max() < rules.THRESHOLD
    scores, strongest = rules.judge(table)
    found = scores[_of_item(journeys, scans[0].code), KINDS.index(rule.kind)]
    assert found.max() >= rules.THRESHOLD
    assert (scores[_of_item(journeys, MATE)] < rules.THRESHOLD).all()
    assert strongest.shape == scores.shape


def test_scores_are_the_strongest_evidence_and_name_its_rule() -> None:
    world = [*worlds.normal_scans(), *(scan for scans in WORLDS.values() for scan in scans)]
    events = to_events([replace(scan, event_id=0) for scan in world])
    _, table = _judged(events, _experienced())
    scores, strongest = rules.judge(table)
    evidence = np.stack([rule.evidence(rules.Table(table)) for rule in rules.RULES], axis=1)
    assert evidence.min() >= 0
    assert evidence.max() <= 1
    for kind, name in enumerate(KINDS):
        of_kind = [at for at, rule in enumerate(rules.RULES) if rule.kind == name]
        assert np.allclose(scores[:, kind], evidence[:, of_kind].max(axis=1))
        silent = scores[:, kind] == 0
        assert (strongest[silent, kind] == -1).all()
        assert np.isin(strongest[~silent, kind], of_kind).all()
        named = evidence[np.flatnonzero(~silent), strongest[~silent, kind]]
        assert np.allclose(named, scores[~silent, kind])


def test_dates_without_times_put_nobody_at_two_places_in_one_second() -> None:
    reference = worlds.reference()
    midnight = datetime(2025, 7, 2, tzinfo=ZoneInfo(reference.zones.default))
    for later, expected in ((timedelta(0), False), (timedelta(seconds=1), True), (timedelta(hours=12), True)):
        scans = [replace(scan, time=midnight + later) for scan in journey(BAD)[:3]]
        _, table = _judged(to_events(scans), reference)
        assert rules.twice_at_once(rules.Table(table)).any() == expected


def test_normal_journeys_give_no_finding() -> None:
    journeys, table = _judged(to_events(worlds.normal_scans()), worlds.reference())
    scores, strongest = rules.judge(table)
    assert _findings(journeys, scores, strongest) == []


def test_the_real_sample_gives_no_finding() -> None:
    events = read_files([worlds.SAMPLE]).events
    reference = learn(events, np.ones(len(events), dtype=np.bool_), worlds.masters())
    journeys, table = _judged(events, reference)
    assert _findings(journeys, *rules.judge(table)) == []


def _findings(
    journeys: Journeys, scores: NDArray[np.float32], strongest: NDArray[np.intp]
) -> list[tuple[str, int, str, float]]:
    rows, kinds = np.nonzero(scores >= rules.THRESHOLD)
    events = journeys.events
    return [
        (
            events.epc_codes[events.epc[row]],
            int(journeys.position[row]),
            rules.RULES[strongest[row, kind]].reason,
            float(scores[row, kind]),
        )
        for row, kind in zip(rows, kinds, strict=True)
    ]


def test_no_events_give_no_scores() -> None:
    _, table = _judged(to_events([]), worlds.reference())
    scores, strongest = rules.judge(table)
    assert scores.shape == strongest.shape == (0, len(KINDS))
