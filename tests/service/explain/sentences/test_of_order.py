from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from tests.service.explain.journeys import said
from tests.support.worlds import code, journey

_HOUR = timedelta(hours=1)
_ITEM = journey(code(4_005))


def test_out_of_a_place_that_it_is_not_in() -> None:
    assert said("out_before_in", [_ITEM[0], *_ITEM[2:]], 1) == (
        "WMS_Outbound at place 5, yet the item is not there: inbound there before: 0, outbound: 0",
        "장소 5의 WMS_Outbound 스캔, 그러나 물품이 그곳에 없음: 이전 입고 0건, 출고 0건",
    )


def test_into_a_place_that_it_has_left() -> None:
    scans = [_ITEM[0], replace(_ITEM[1], time=_ITEM[2].time + _HOUR), _ITEM[2]]
    assert said("out_before_in", scans, 1) == (
        "WMS_Inbound at place 5, 1 hour after WMS_Outbound (event 3); inbound there before: 0",
        "WMS_Outbound 스캔(이벤트 3)보다 1시간 늦은 장소 5의 WMS_Inbound 스캔; 이전 입고 0건",
    )


def test_in_twice() -> None:
    scans = [*_ITEM[:2], replace(_ITEM[1], time=_ITEM[1].time + 3 * _HOUR)]
    assert said("in_twice", scans, 2) == (
        "WMS_Inbound at place 5 again, 3 hours after event 2, without an outbound between",
        "이벤트 2 이후 3시간 만에 다시 장소 5의 WMS_Inbound 스캔, 그 사이에 출고가 없음",
    )


def test_in_three_times_with_one_outbound_between() -> None:
    twice = [replace(_ITEM[1], time=_ITEM[1].time + hours * _HOUR) for hours in (0, 3, 9)]
    scans = [_ITEM[0], *twice, replace(_ITEM[2], time=_ITEM[1].time + 6 * _HOUR)]
    assert "3 hours after event 2, without" in said("in_twice", scans, 2)[0]
    assert said("in_twice", scans, 3) == (
        "WMS_Inbound at place 5 again, 6 hours after event 3, with more inbound than outbound before",
        "이벤트 3 이후 6시간 만에 다시 장소 5의 WMS_Inbound 스캔, 그 이전까지 입고가 출고보다 많음",
    )


def test_out_twice_from_both_ends() -> None:
    scans = [*_ITEM[:3], replace(_ITEM[2], time=_ITEM[2].time + 3 * _HOUR)]
    assert said("out_twice", scans, 3) == (
        "WMS_Outbound at place 5 again, 3 hours after event 3, without an inbound between",
        "이벤트 3 이후 3시간 만에 다시 장소 5의 WMS_Outbound 스캔, 그 사이에 입고가 없음",
    )
    assert said("out_twice", scans, 2) == (
        "WMS_Outbound at place 5, and again 3 hours later (event 4), without an inbound between",
        "장소 5의 WMS_Outbound 스캔, 3시간 후 다시 같은 스캔(이벤트 4), 그 사이에 입고가 없음",
    )


def test_out_twice_with_an_inbound_between_claims_no_lack_of_it() -> None:
    more = [replace(_ITEM[at], time=_ITEM[at].time + hours * _HOUR) for at, hours in ((1, 101), (2, 5))]
    english, korean = said("out_twice", [*_ITEM[:3], *more], 4)
    assert english == "WMS_Outbound at place 5 more than once: also event 3, 5 hours apart"
    assert korean == "장소 5의 WMS_Outbound 스캔이 두 번 이상 발생: 5시간 간격의 이벤트 3도 같은 스캔"


def test_ids_against_the_clock() -> None:
    scans = [replace(scan, event_id=event_id) for scan, event_id in zip(_ITEM, (1, 5, 3, 6), strict=False)]
    assert said("clock_rolled_back", scans, 2) == (
        "Event 5 has the higher id, yet is dated 4.1 days before event 3:"
        " WMS_Inbound at place 5 before WMS_Outbound at place 5",
        "이벤트 5의 번호가 더 높은데 시각은 이벤트 3보다 4.1일 앞섬: 장소 5의 WMS_Inbound 다음에 장소 5의 WMS_Outbound",
    )


def test_a_step_left_out() -> None:
    assert said("arrived_before_leaving", [*_ITEM[:4], _ITEM[5]], 4) == (
        "W_Stock_Inbound at place 23 directly after HUB_Inbound at place 13, 8.2 days before (event 4):"
        " 1 step is missing between",
        "8.2일 전의 장소 13의 HUB_Inbound 스캔(이벤트 4) 바로 다음에 장소 23의 W_Stock_Inbound 스캔:"
        " 중간의 1단계가 누락됨",
    )
    assert said("arrived_before_leaving", [_ITEM[0], _ITEM[5]], 1)[0].endswith("4 steps are missing between")


def test_further_on_before() -> None:
    scans = [*_ITEM[:4], replace(_ITEM[2], time=_ITEM[3].time + 3 * _HOUR)]
    assert said("arrived_before_leaving", scans, 4) == (
        "WMS_Outbound at place 5, 3 hours after HUB_Inbound at place 13, which is 1 step further on (event 4)",
        "1단계 뒤 순서인 장소 13의 HUB_Inbound 스캔(이벤트 4)보다 3시간 늦은 장소 5의 WMS_Outbound 스캔",
    )
    assert said("arrived_before_leaving", scans, 3) == (
        "HUB_Inbound at place 13, and only 3 hours later WMS_Outbound at place 5,"
        " which is 1 step further back (event 5)",
        "장소 13의 HUB_Inbound 스캔, 3시간 후에야 1단계 앞 순서인 장소 5의 WMS_Outbound 스캔(이벤트 5)",
    )


def test_an_unusual_order() -> None:
    assert said("order_unusual", _ITEM, 3) == (
        "HUB_Inbound at place 13 after WMS_Outbound: the order as a whole is unusual;"
        " 80 of 80 normal scans after WMS_Outbound are HUB_Inbound",
        "WMS_Outbound 다음의 장소 13의 HUB_Inbound 스캔: 전체 순서가 이례적임;"
        " WMS_Outbound 다음의 정상 스캔 80건 중 HUB_Inbound 스캔은 80건",
    )
    first = "Aggregation at place 1 is the first scan; the order as a whole is unusual"
    assert said("order_unusual", _ITEM, 0)[0] == first
