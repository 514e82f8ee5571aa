"""How much of a file lies outside of the tables: counts against a slow count, and the thresholds of what is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from service.detect.coverage import (
    LEAST_CODES,
    LEAST_LOTS,
    LEAST_SCANS,
    PARTS,
    READ_MORE,
    Coverage,
    UnknownParts,
    coverage_warning,
    measure,
    without_coverage,
)
from service.events.codes import parse
from service.events.columns import Events
from service.events.journeys import Journeys
from tests.support import worlds
from tests.support.gateway import ROOT


def measured(events: Events) -> dict[int, Coverage]:
    reference = worlds.reference()
    return measure(events, UnknownParts.of(parse(events.epc_codes), reference), reference)


def test_each_part_is_counted_by_file() -> None:
    known = [worlds.journey(worlds.code(serial)) for serial in range(4_000, 4_040)]
    strange = [
        worlds.journey(worlds.code(1, product=9_999_999, lot=77)),
        worlds.journey(worlds.code(4_002, lot=77)),
        worlds.journey(worlds.code(999_999_999)),
        worlds.journey("002" + worlds.code(4_003)[3:]),
        worlds.journey(worlds.code(4_004).replace("8804823", "1111111")),
        worlds.journey("forged"),
    ]
    events = worlds.to_events([scan for each in (*known, *strange) for scan in each])
    file_id = np.where(events.epc < 40, 1, 2)
    events = replace(events, file_id=file_id, location_id=np.where(events.epc == 45, 4_711, events.location_id))
    ours, theirs = (measured(events)[number] for number in (1, 2))
    assert set(ours.unknown) == set()
    assert ours.looked_up == {
        "form": 40, "header": 40, "company": 40, "product": 40, "lot": 40, "serial": 40,
        "place": int((file_id == 1).sum()), "lane": int((file_id == 1).sum()) - 40,
    }  # fmt: skip
    last = int((events.epc == 45).sum())
    assert theirs.unknown == {
        "form": 1, "header": 1, "company": 1, "product": 2, "lot": 2, "serial": 1, "place": last, "lane": last - 1,
    }  # fmt: skip
    assert theirs.unknown_lots == 2  # of the codes of unknown products: an invented lot, and a lot of another company
    assert set(theirs.looked_up) == set(PARTS)


def test_lanes_are_those_of_journeys() -> None:
    events = worlds.to_events(worlds.normal_scans())
    shuffled = events.take(np.random.default_rng(1).permutation(len(events)))
    coverage = measured(shuffled)[1]
    assert coverage.looked_up["lane"] == int((Journeys.of(events).position > 0).sum())
    assert coverage.unknown.get("lane", 0) == 0
    assert "lane" not in measured(events.take(np.arange(LEAST_SCANS - 1)))[1].looked_up


def of_codes(unknown: int, known: int = 0, lots: int = LEAST_LOTS) -> Coverage:
    return Coverage({"product": unknown + known}, {"product": unknown}, lots + 9, lots)


@pytest.mark.parametrize(
    ("coverage", "foreign"),
    [
        (of_codes(LEAST_CODES), True),
        (of_codes(LEAST_CODES - 1), False),
        (of_codes(LEAST_CODES, LEAST_CODES), False),
        (of_codes(LEAST_CODES + 1, LEAST_CODES), True),
        (of_codes(LEAST_CODES, lots=LEAST_LOTS - 1), False),
        (Coverage({"product": LEAST_CODES}, {"product": LEAST_CODES}, LEAST_LOTS - 1, LEAST_LOTS - 1), False),
    ],
)
def test_what_another_network_is(coverage: Coverage, foreign: bool) -> None:
    assert coverage.is_foreign == foreign
    assert bool(coverage_warning(coverage)) == foreign


def test_places_lanes_and_forms_are_said_alone() -> None:
    most = LEAST_SCANS // 2 + 1
    assert coverage_warning(Coverage({"place": LEAST_SCANS}, {"place": most})) == (
        f"50 % of the scans are at places that this model does not know: adopt it, see {READ_MORE}."
    )
    assert coverage_warning(Coverage({"lane": LEAST_SCANS}, {"lane": LEAST_SCANS})) == (
        f"100 % of the moves are on lanes that this model does not know: adopt it, see {READ_MORE}."
    )
    assert coverage_warning(Coverage({"form": LEAST_CODES}, {"form": LEAST_CODES})) == (
        f"100 % of the codes are not of the form header.company.product.lot.date.serial, see {READ_MORE}."
    )
    assert coverage_warning(Coverage({"place": LEAST_SCANS - 1}, {"place": LEAST_SCANS - 1})) == ""
    assert coverage_warning(Coverage({"place": LEAST_SCANS}, {"place": most - 1})) == ""


def test_of_a_file_in_parts_it_is_said_once() -> None:
    parts = {"form": 900, "product": 300, "place": 900, "lane": 600}
    warning = coverage_warning(Coverage(parts, parts, 9, 9, spared=True))
    assert warning.count("adopt it") == 1
    assert without_coverage(f"One. {warning} Two.") == "One. Two."
    assert without_coverage("90 % of the codes are fine.") == "90 % of the codes are fine."


def test_the_page_that_a_warning_names_says_what_to_do() -> None:
    assert "epc-sentinel adopt" in (ROOT / READ_MORE).read_text()
