"""The sentences of times. Normal here: 40 legs from place 5 to 13 in 10 to 10.5 hours, see `worlds.normal_scans`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from service.explain.reasons import Reasons
from tests.service.explain.journeys import case_of, cause, row_of, said
from tests.support import worlds
from tests.support.worlds import ROUTE, code, journey, reference, shipment

_ITEM = journey(code(4_005))
_NORM = "; this lane takes 9.5 to 11.2 hours, estimated from 40 legs and from others between such scans"
_NORM_KO = "; 이 구간은 9.5~11.2시간 소요, 이동 40건과 같은 유형의 다른 이동에서 추정"


def test_faster_than_anything() -> None:
    scans = journey(code(4_005), hours=(0, 1, 100, 100 + 1 / 60))
    assert said("too_fast_to_travel", scans, 3) == (
        "36.4 km in 1 minute (2,187 km/h), from place 5 to place 13" + _NORM,
        "장소 5 → 장소 13, 36.4 km 거리를 1분 만에 이동(시속 2,187 km)" + _NORM_KO,
    )
    at_once = journey(code(4_005), hours=(0, 1, 100, 100))
    assert said("too_fast_to_travel", at_once, 3)[0] == "36.4 km in 0 seconds, from place 5 to place 13" + _NORM


def test_faster_than_the_lane() -> None:
    scans = journey(code(4_005), hours=(0, 1, 100, 104))
    assert said("faster_than_lane", scans, 3) == (
        "36.4 km in 4 hours, from place 5 to place 13" + _NORM,
        "장소 5 → 장소 13, 36.4 km 이동에 4시간 소요" + _NORM_KO,
    )


def test_faster_than_all_others_of_the_day() -> None:
    others = [
        scan
        for serial in range(4_000, 4_004)
        for scan in journey(code(serial, lot=worlds.OTHER_LOT), hours=(0, 1, 88 + serial % 4, 110))
    ]
    english, korean = said("faster_than_traffic", [*others, *journey(code(4_010), hours=(0, 1, 100, 110))], 19)
    assert english == (
        f"36.4 km in 10 hours, from place 5 to place 13{_NORM};"
        " 4 others on this lane that day took 20.5 hours (geometric mean)"
    )
    assert korean == (
        f"장소 5 → 장소 13, 36.4 km 이동에 10시간 소요{_NORM_KO};"
        " 같은 날 이 구간을 지난 다른 4건은 20.5시간 소요(기하 평균)"
    )


def test_slower_than_the_mates() -> None:
    scans = [*shipment(ROUTE, range(4_000, 4_010)), *journey(code(4_010), hours=(0, 1, 100, 400))]
    assert said("slow_transit", scans, 103) == (
        f"36.4 km in 12.5 days, from place 5 to place 13{_NORM};"
        " 10 mates that left in the same two hours took 10 hours (median)",
        f"장소 5 → 장소 13, 36.4 km 이동에 12.5일 소요{_NORM_KO};"
        " 같은 2시간대에 출발한 동일 로트 물품 10개는 10시간 소요(중앙값)",
    )


def test_stalled() -> None:
    scans = journey(code(4_005), hours=(0, 1, 900))
    assert said("stalled", scans, 2) == (
        "37.5 days at place 5 between WMS_Inbound and WMS_Outbound;"
        " this lane takes 3.9 to 4.4 days, estimated from 80 legs and from others between such scans",
        "장소 5에서 WMS_Inbound 스캔부터 WMS_Outbound 스캔까지 37.5일 체류;"
        " 이 구간은 3.9~4.4일 소요, 이동 80건과 같은 유형의 다른 이동에서 추정",
    )


def test_stalled_from_the_middle_of_what_went_together() -> None:
    around = [scan for serial in (4_004, 4_006) for scan in journey(code(serial), hours=(0, 1, 100))]
    english, korean = said("stalled", [*around, *journey(code(4_005), hours=(0, 1, 900))], 8)
    assert english.endswith("; the serial numbers below and above it went together and took 4.1 days")
    assert korean.endswith("; 앞뒤 일련번호 물품은 함께 이동하여 4.1일 소요")
    went = ((4_004, 100), (4_006, 130))
    apart = [scan for serial, left in went for scan in journey(code(serial), hours=(0, 1, left))]
    assert "serial" not in said("stalled", [*apart, *journey(code(4_005), hours=(0, 1, 900))], 8)[0]


def test_what_the_lane_allows_and_the_transition_master_does_not() -> None:
    known = reference()
    strict = replace(known, route_hours=np.tile([9.6, 0.1, 9.55, 9.65], (len(known.route.key), 1)))
    case = case_of(journey(code(4_005), hours=(0, 1, 100, 111)))
    row = row_of(case, 4)
    assert Reasons(case, strict, "en").sentence(row, cause("slow_transit"), row) == (
        f"36.4 km in 11 hours, from place 5 to place 13{_NORM}; the transition master gives 9.6 to 9.7 hours"
    )


def test_many_legs_are_a_share_of_their_own() -> None:
    many = replace(reference(), lane=replace(reference().lane, count=np.full(len(reference().lane.key), 1_224.0)))
    case = case_of(journey(code(4_005), hours=(0, 1, 100, 104)))
    row = row_of(case, 4)
    english, korean = (Reasons(case, many, of).sentence(row, cause("faster_than_lane"), row) for of in ("en", "ko"))
    assert english.endswith("; this lane takes 9.5 to 11.2 hours, 98 % of 1,224 legs")
    assert korean.endswith("; 이 구간은 이동 1,224건의 98%가 9.5~11.2시간 소요")


def test_the_master_speaks_for_a_lane_that_no_normal_item_took() -> None:
    scans = [*_ITEM[:3], replace(_ITEM[5], location_id=13)]
    english, korean = said("slow_transit", scans, 3)
    assert english == "36.4 km in 8.7 days, from place 5 to place 13; the transition master gives 5 to 20 hours"
    assert korean == "장소 5 → 장소 13, 36.4 km 이동에 8.7일 소요; 이동 시간 기준표로는 5~20시간"


def test_what_is_not_known_is_not_said() -> None:
    # no coordinates of the place, so no distance; no leg of these types, so no norm
    assert said("time_unusual", [_ITEM[0], _ITEM[7]], 1) == (
        "21 days from place 1 to place 74; no such leg is known",
        "장소 1 → 장소 74, 이동에 21일 소요; 알려진 같은 이동이 없음",
    )
    assert said("time_unusual", [_ITEM[0], replace(_ITEM[1], location_id=999)], 1)[0] == (
        "1 hour from place 1 to place 999;"
        " no normal item took this lane, but 80 legs from Aggregation to WMS_Inbound: 1 to 1.9 hours"
    )


def test_a_first_scan_has_a_time_alone() -> None:
    assert said("time_unusual", _ITEM, 0) == (
        "The journey begins with Aggregation at place 1 at 2025-07-01 09:00, unlike the times of such items",
        "이력이 2025-07-01 09:00에 장소 1의 Aggregation 스캔으로 시작됨, 같은 종류 물품의 시각과 다름",
    )
