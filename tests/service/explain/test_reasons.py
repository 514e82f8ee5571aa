from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from service.events.vocabulary import EVENT_TYPES, KINDS
from service.explain.causes import CAUSES, FirstCauses
from service.explain.languages import LANGUAGES
from service.explain.reasons import SENTENCES, Reasons
from service.features.case import Case
from tests.service.explain.journeys import case_of, cause, row_of
from tests.support.worlds import DETOUR, ROUTE, Scan, code, journey, reference, shipment, to_events

_HOSTILE = ("", "\0", "{n}", "%s", "\u202eabc", "9" * 10_000, code(4_000)[:-1] + "٣", "\ud800")


def _anything(seed: int, n: int = 60) -> list[Scan]:
    """Return scans of any type at any place at any time, of codes of all sorts."""
    rng = np.random.default_rng(seed)
    items = [*_HOSTILE, code(4_001), code(4_002), code(4_003, lot=77), code(4_001, product=7), code(1, date="20251345")]
    types, places = [*EVENT_TYPES, "Nonsense"], [*ROUTE, 999, -(2**62), 2**62]
    base = journey(code(1))[0].time
    return [
        Scan(
            items[rng.integers(len(items))],
            types[rng.integers(len(types))],
            places[rng.integers(len(places))],
            base + timedelta(minutes=int(rng.integers(300))),
            event_id=int(event_id),
        )
        for event_id in rng.permutation(n) + 1
    ]


def test_each_cause_has_a_sentence_and_no_other() -> None:
    assert set(SENTENCES) == {one.code for one in CAUSES}
    assert len(SENTENCES) == len(CAUSES)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_every_event_has_a_sentence_for_every_cause(seed: int, causal: bool) -> None:
    """Also where the event does not show it: whoever asks gets a sentence, and one that can be shown."""
    case = case_of(_anything(seed), causal=causal)
    by_language = {language: Reasons(case, reference(), language) for language in LANGUAGES}
    for row in range(len(case.features)):
        for one in CAUSES:
            english, korean = (reasons.sentence(row, one, row) for reasons in by_language.values())
            for said in (english, korean):
                said.encode()  # no lone surrogate, which no answer could carry
                assert said.isprintable()
                assert 5 < len(said) < 500
            assert any("가" <= letter <= "힣" for letter in korean), korean
            assert not any("가" <= letter <= "힣" for letter in english), english


@pytest.mark.parametrize("causal", [False, True])
def test_the_first_causes_of_all_events_are_said(causal: bool) -> None:
    case = case_of([*_anything(9), *shipment(ROUTE, range(4_000, 4_010))], causal=causal)
    journeys, reasons = case.journeys, Reasons(case, reference(), "en")
    causes = FirstCauses(case.features, journeys.spread(journeys.start), lambda: reasons.mates)
    for row in range(len(case.features)):
        for kind in range(len(KINDS)):
            first, shown = causes.at(row, kind)
            said = reasons.sentence(row, CAUSES[first], shown)
            assert said.startswith("Goes on from event ") == (shown != row)


def test_an_empty_reference_says_no_numbers_of_it() -> None:
    learned = reference()
    none = replace(learned.header, key=learned.header.key[:0], count=learned.header.count[:0])
    of_codes = ("header", "company", "product", "company_product", "lot", "product_lot")
    tables = (*of_codes, "scan", "lane", "route", "product_scan", "product_type")
    empty = replace(
        learned,
        **dict.fromkeys(tables, none),
        location_id=learned.location_id[:0],
        latitude=learned.latitude[:0],
        longitude=learned.longitude[:0],
        type_pair=learned.type_pair * 0,
        type_pair_gap=learned.type_pair_gap * 0,
        lane_gap=learned.lane_gap[:0],
        route_hours=learned.route_hours[:0],
        lot_day=learned.lot_day[:0],
        lot_serial=learned.lot_serial[:0],
    )
    case = Case.of(to_events(_anything(3)), empty, causal=False)
    for language in LANGUAGES:
        reasons = Reasons(case, empty, language)
        for row in range(len(case.features)):
            assert all(reasons.sentence(row, one, row) for one in CAUSES)
    row = row_of(case_of(journey(code(4_005))), 4)
    case = Case.of(to_events(journey(code(4_005))), empty, causal=False)
    said = Reasons(case, empty, "en").sentence(row, cause("slow_transit"), row)
    assert said == "10 hours from place 5 to place 13; no such leg is known"


def test_what_follows_from_an_earlier_event_names_it() -> None:
    scans = [*shipment(ROUTE, range(4_000, 4_010)), *journey(code(4_010), places=DETOUR)]
    case = case_of(scans)
    shown, row = row_of(case, 104), row_of(case, 105)
    english, korean = (
        Reasons(case, reference(), of).sentence(row, cause("apart_from_mates"), shown) for of in LANGUAGES
    )
    assert english.startswith(
        "Goes on from event 104: Of 10 mates that left place 5 in the same two hours, 0 came to HUB"
    )
    assert korean.startswith("이벤트 104에서 이어짐: 같은 2시간대에 장소 5에서 출발한 동일 로트 물품 10개 중 0개가")


def test_the_order_of_the_request_does_not_matter() -> None:
    scans = [replace(scan, event_id=at) for at, scan in enumerate(_anything(5), 1)]
    turned = scans[::-1]
    said = []
    for listed in (scans, turned):
        case = case_of(listed)
        reasons = Reasons(case, reference(), "en")
        ids = case.journeys.events.event_id
        said.append({(int(ids[row]), one.code): reasons.sentence(row, one, row) for row in range(60) for one in CAUSES})
    assert said[0] == said[1]


def test_a_causal_judgement_says_nothing_of_the_future() -> None:
    """Events after the last judged one change no sentence, but of the items whose first scan they are."""
    scans = sorted(_anything(6), key=lambda scan: (scan.time, scan.event_id))
    whole, part = case_of(scans, causal=True), case_of(scans[:40], causal=True)
    of_whole, of_part = Reasons(whole, reference(), "en"), Reasons(part, reference(), "en")
    for scan in scans[:40]:
        in_whole, in_part = row_of(whole, scan.event_id), row_of(part, scan.event_id)
        for one in CAUSES:
            assert of_whole.sentence(in_whole, one, in_whole) == of_part.sentence(in_part, one, in_part), one.code


def test_the_mode_counts_where_no_journey_tells_it() -> None:
    scans, never_shipped = shipment(ROUTE[:1], range(4_000, 4_010)), cause("serial_never_shipped")
    whole, causal = case_of(scans), case_of(scans, causal=True)  # one event each: none has a next one
    row = row_of(causal, 1)
    said = Reasons(causal, reference(), "en").sentence(row, never_shipped, row)
    assert said == "No mate of serial 4000 is at hand"
    assert "next to it: 4" in Reasons(whole, reference(), "en").sentence(row, never_shipped, row)
