"""Causes: a closed list, asked upstream first, and documented as it is."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from service.events.vocabulary import KINDS
from service.explain.causes import CAUSES, CODES, FirstCauses
from service.explain.facts import Facts
from service.features.table import INDEX
from tests.service.explain.journeys import case_of, reference
from tests.support.gateway import ROOT
from tests.support.worlds import ROUTE, Scan, code, journey, shipment


def named(scans: list[Scan], at: int, kind: str, *, causal: bool = False) -> tuple[str, int]:
    """Return the first cause of ``scans[at]``, and the place in ``scans`` of the event that shows it."""
    case = case_of(scans, causal=causal)
    mates = Facts(case, reference()).mates
    causes = FirstCauses(case.features, case.journeys.spread(case.journeys.start), lambda: mates)
    cause, shown = causes.at(int(case.rows[at]), KINDS.index(kind))
    return CODES[cause], int(case.journeys.order[shown])


_AGAIN = ("Aggregation", "WMS_Inbound", "WMS_Outbound", "WMS_Outbound")


def test_codes_are_distinct_and_each_kind_ends_with_a_cause_that_is_always_there() -> None:
    assert len(set(CODES)) == len(CODES)
    for kind in KINDS:
        last = [cause for cause in CAUSES if cause.kind == kind][-1]
        assert last.code.endswith("_unusual")
        assert last.features == ()


def test_the_evidence_of_each_cause_are_features() -> None:
    assert {name for cause in CAUSES for name in cause.features} <= INDEX.keys()


def test_the_documentation_has_each_cause_as_it_is() -> None:
    text = (ROOT / "docs/explain.md").read_text()
    documented = re.findall(r"^\| `(\w+)` \| `(\w+)` \| (.+?) \| (.+) \|$", text, re.MULTILINE)
    evidence = [", ".join(f"`{name}`" for name in one.features) or "none" for one in CAUSES]
    assert documented == [(one.kind, one.code, one.meaning, said) for one, said in zip(CAUSES, evidence, strict=True)]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    ("item", "cause"),
    [
        ("forged", "code_malformed"),
        (code(1).replace("001.", "999.", 1), "header_unknown"),
        (code(1, product=1_111_111), "product_unknown"),
        (code(1, date="20250705"), "date_after_scan"),
        (code(1, date="20250601"), "date_not_of_lot"),
    ],
)
def test_upstream_causes_are_named_before_what_follows_from_them(item: str, cause: str, *, causal: bool) -> None:
    """An unknown product has an unknown lot too, and a code from nowhere no mates: the first of them is the cause."""
    mates = shipment(ROUTE, range(4_000, 4_010))
    assert named([*mates, *journey(item)], len(mates), "epcFake", causal=causal)[0] == cause


def test_an_event_without_evidence_has_the_cause_of_the_earlier_one_that_shows_it() -> None:
    item = journey(code(4_000))[:4]
    clone = replace(item[3], location_id=14, time=item[3].time + timedelta(hours=9))
    leaves = replace(clone, event_type="HUB_Outbound", time=clone.time + timedelta(days=3))
    scans = [*item, clone, leaves]
    assert named(scans, 4, "epcDup") == ("received_elsewhere_too", 4)
    assert named(scans, 5, "epcDup") == ("received_elsewhere_too", 4)
    assert named(item, 2, "locErr") == ("place_unusual", 2), "a normal one has none"


def test_a_journey_shows_nothing_of_the_one_before_it() -> None:
    first, second = journey(code(4_000)), journey(code(4_001))
    diverted = [*first[:3], *(replace(scan, location_id=999) for scan in first[3:])]
    for at in range(len(second)):
        assert named([*diverted, *second], len(diverted) + at, "locErr")[1] >= len(diverted)


def test_every_event_has_a_cause_of_each_kind() -> None:
    features = np.random.default_rng(3).normal(size=(500, len(INDEX))).astype(np.float32) * 5
    mates = Facts(case_of(journey(code(1))), reference()).mates
    causes = FirstCauses(features, np.arange(500), lambda: mates)
    for column, kind in enumerate(KINDS):
        assert {CAUSES[number].kind for number in causes.of(column)[0].tolist()} == {kind}


@pytest.mark.parametrize("causal", [False, True])
def test_of_an_unknown_lot_serials_lie_where_those_of_its_items_do(*, causal: bool) -> None:
    first, second = (shipment(ROUTE, range(low, low + 30), lot=77) for low in (4_000, 9_000))

    def of(serial: int, *more: int) -> str:
        forged = [scan for one in (*more, serial) for scan in journey(code(one, lot=77))]
        return named([*first, *second, *forged], -1, "epcFake", causal=causal)[0]

    assert of(20_000) == of(1) == "serial_outside_lot"
    assert of(20_000, 20_001, 20_002) == "serial_outside_lot", "others that were forged do not make a block"
    assert of(6_500) == "serial_never_shipped", "between two shipments"


@pytest.mark.parametrize("causal", [False, True])
def test_a_lot_of_which_nothing_is_known_is_named(*, causal: bool) -> None:
    mates = shipment(ROUTE, range(4_000, 4_010))
    few = [scan for serial in (1, 2) for scan in journey(code(serial, lot=77))]
    assert named([*mates, *few], -1, "epcFake", causal=causal)[0] == "lot_unknown"
    assert named([*mates, *journey(code(4_010))], -1, "epcFake", causal=causal)[0] != "lot_unknown"


@pytest.mark.parametrize("causal", [False, True])
def test_what_was_read_again_at_once_did_not_stall(*, causal: bool) -> None:
    again = journey(code(4_010), places=(1, 5, 5, 5), types=_AGAIN, hours=(0, 1, 100, 100.001))
    assert named([*again, *shipment(ROUTE, range(4_000, 4_010))], 3, "jump", causal=causal)[0] == "time_unusual"
    stood = journey(code(4_010), places=(1, 5, 5), types=_AGAIN[:3], hours=(0, 1, 900))
    assert named([*stood, *shipment(ROUTE, range(4_000, 4_010))], 2, "jump", causal=causal)[0] == "stalled"
