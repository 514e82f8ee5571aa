from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from service.dialect.dialect import Dialect
from service.events.vocabulary import LEVELS
from service.explain.reasons import Reasons
from tests.service.explain.journeys import case_of, cause, said
from tests.support.worlds import DETOUR, ROUTE, code, journey, reference, shipment

_HOUR = timedelta(hours=1)
_ITEM = journey(code(4_005))
_MATES = shipment(ROUTE, range(4_000, 4_010))


def test_a_level_backwards() -> None:
    scans = [*_ITEM[:5], replace(_ITEM[2], time=_ITEM[4].time + 3 * _HOUR)]
    assert said("level_reversed", scans, 5) == (
        "Backwards from Logistics_HUB (place 13) to WMS (place 5), 1 level",
        "Logistics_HUB(장소 13)에서 WMS(장소 5) 방향으로 1단계 역행",
    )
    far = [*_ITEM[:9], replace(_ITEM[2], time=_ITEM[8].time + 3 * _HOUR)]
    assert said("level_reversed", far, 9)[0].endswith("to WMS (place 5), 3 levels")


def test_levels_left_out() -> None:
    assert said("level_skipped", [*_ITEM[:3], *_ITEM[7:]], 3) == (
        "From WMS (place 5) to R_Stock (place 74) without Logistics_HUB, W_Stock",
        "WMS(장소 5)에서 R_Stock(장소 74) 방향으로 이동하면서 Logistics_HUB, W_Stock 단계를 건너뜀",
    )


def test_levels_that_a_network_does_not_have_are_neither_left_out_nor_counted() -> None:
    steps = {level: [level] for level in LEVELS if level != "Logistics_HUB"}
    known = replace(reference(), dialect=Dialect.model_validate({"steps": steps}))
    skips = case_of([*_ITEM[:3], *_ITEM[7:]])
    assert Reasons(skips, known, "en").sentence(3, cause("level_skipped"), 3).endswith(" without W_Stock")
    back = case_of([*_ITEM[:9], replace(_ITEM[2], time=_ITEM[8].time + 3 * _HOUR)])
    assert Reasons(back, known, "en").sentence(9, cause("level_reversed"), 9).endswith("to WMS (place 5), 2 levels")


def test_a_place_of_other_products() -> None:
    # 40 scans are few: the log share of none of 40 is -6.0
    assert said("place_not_of_product", journey(code(4_005), places=DETOUR), 4) == (
        "0 of 40 normal scans of type HUB_Outbound of product 1293291 are at place 14;"
        " most are HUB_Outbound at place 13 (40)",
        "제품 1293291의 정상 HUB_Outbound 스캔 40건 중 장소 14에서 발생한 것은 0건;"
        " 가장 많은 곳은 장소 13의 HUB_Outbound (40건)",
    )


def test_a_lane_of_nobody() -> None:
    scans = [*_ITEM[:3], replace(_ITEM[3], location_id=24)]
    assert said("lane_never_used", scans, 3) == (
        "After WMS_Outbound at place 5, 0 of 80 normal items come to HUB_Inbound at place 24;"
        " most are HUB_Inbound at place 13 (40)",
        "장소 5의 WMS_Outbound 스캔 이후 정상 물품 80개 중 0개가 장소 24의 HUB_Inbound 스캔으로 이어짐;"
        " 가장 많은 곳은 장소 13의 HUB_Inbound (40건)",
    )


def test_a_beginning_of_nobody() -> None:
    assert said("lane_never_used", [replace(scan, location_id=13) for scan in _ITEM], 0) == (
        "0 of 80 normal journeys begin with Aggregation at place 13; most are Aggregation at place 1 (80)",
        "정상 이력 80건 중 0건이 장소 13의 Aggregation 스캔으로 시작; 가장 많은 곳은 장소 1의 Aggregation (80건)",
    )


def test_apart_from_the_shipment() -> None:
    scans = [*_MATES, *journey(code(4_010), places=DETOUR)]
    assert said("apart_from_mates", scans, 103) == (
        "Of 10 mates that left place 5 in the same two hours, 0 came to HUB_Inbound at place 14;"
        " 10 were scanned next at place 13",
        "같은 2시간대에 장소 5에서 출발한 동일 로트 물품 10개 중 0개가 장소 14의 HUB_Inbound 스캔으로 이어짐;"
        " 10개는 다음에 장소 13에서 스캔됨",
    )


def test_apart_from_mates_that_left_at_other_times() -> None:
    alone = [replace(scan, time=scan.time + 700 * _HOUR) for scan in journey(code(4_010), places=DETOUR)]
    assert said("apart_from_mates", [*_MATES, *alone], 103) == (
        "Of 10 mates that left place 5, 0 came to HUB_Inbound at place 14; 10 were scanned next at place 13",
        "장소 5에서 출발한 동일 로트 물품 10개 중 0개가 장소 14의 HUB_Inbound 스캔으로 이어짐;"
        " 10개는 다음에 장소 13에서 스캔됨",
    )


def test_apart_from_where_mates_have_such_scans() -> None:
    alone = [replace(scan, location_id=14) for scan in _ITEM[3:4]]
    english, _ = said("apart_from_mates", [*shipment(ROUTE, range(4_000, 4_005)), *alone], 50)
    assert (
        english
        == "Of 5 scans of this type of its mates, 0 were HUB_Inbound at place 14; 5 were scanned next at place 13"
    )


def test_a_causal_judgement_counts_the_mates_before_it() -> None:
    alone = [replace(scan, time=scan.time - timedelta(seconds=30)) for scan in journey(code(4_010), places=DETOUR)]
    late = [replace(scan, time=scan.time + timedelta(minutes=4)) for scan in alone]
    english, _ = said("apart_from_mates", [*_MATES, *late], 103, causal=True)
    assert english.startswith("Of 4 mates that left place 5 in the same two hours, 0 came")


def test_the_lane_speaks_where_no_mate_is_at_hand() -> None:
    """As with a history: the features know of mates that are not among the events that are explained."""
    case = case_of([*_ITEM[:3], replace(_ITEM[3], location_id=14)])
    assert Reasons(case, reference(), "en").sentence(3, cause("apart_from_mates"), 3) == (
        "After WMS_Outbound at place 5, 40 of 80 normal items come to HUB_Inbound at place 14;"
        " most are HUB_Inbound at place 13 (40)"
    )


def test_unknown_places_have_no_numbers() -> None:
    assert said("place_unusual", [replace(scan, location_id=999) for scan in _ITEM], 0) == (
        "Aggregation at place 999: this place is not known",
        "장소 999의 Aggregation 스캔: 알려지지 않은 장소",
    )
    english, korean = said("place_unusual", _ITEM, 4)
    assert english == "HUB_Outbound at place 13: the places as a whole are unusual; 40 normal scans like it are known"
    assert korean == "장소 13의 HUB_Outbound 스캔: 전체 장소가 이례적임; 알려진 같은 정상 스캔은 40건"
