from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from tests.service.explain.journeys import said
from tests.support.worlds import code, journey

_HOUR = timedelta(hours=1)
_ITEM = journey(code(4_005))


def test_after_the_sale() -> None:
    scans = [*_ITEM, replace(_ITEM[3], time=_ITEM[9].time + 30 * _HOUR)]
    assert said("alive_after_sale", scans, 10) == (
        "HUB_Inbound at place 13, 30 hours after it was sold at place 74 on 2025-07-28 01:00",
        "장소 13의 HUB_Inbound 스캔, 2025-07-28 01:00 장소 74에서 판매된 후 30시간 경과",
    )


def test_sold_without_a_shop() -> None:
    scans = [*_ITEM[:5], replace(_ITEM[9], time=_ITEM[4].time + 2 * _HOUR)]
    assert said("sold_while_upstream", scans, 5) == (
        "POS_Sell at place 74, 2 hours after HUB_Outbound at place 13;"
        " 80 of 80 normal scans of type POS_Sell come directly after R_Stock_Outbound",
        "장소 13의 HUB_Outbound 스캔 후 2시간 만에 장소 74의 POS_Sell 스캔;"
        " 정상 POS_Sell 스캔 80건 중 80건은 R_Stock_Outbound 바로 다음에 발생",
    )
    assert said("sold_while_upstream", _ITEM[9:], 0)[0].startswith("POS_Sell at place 74 without any earlier scan; 80")


def test_two_places_at_once() -> None:
    scans = [*_ITEM, replace(_ITEM[3], location_id=75, time=_ITEM[3].time + 2 * _HOUR / 60)]
    assert said("two_places_at_once", scans, 10) == (
        "HUB_Inbound at place 75 and the same at place 13, 157 km away, within 2 minutes: 4,701 km/h",
        "장소 75의 HUB_Inbound 스캔과 157 km 떨어진 장소 13의 같은 스캔이 2분 간격으로 발생: 시속 4,701 km",
    )
    assert "at place 75, 157 km away, within 2 minutes" in said("two_places_at_once", scans, 3)[0]  # the later one


def test_no_speed_is_made_of_less_than_a_minute() -> None:
    scans = [*_ITEM, replace(_ITEM[3], location_id=75, time=_ITEM[3].time)]
    assert said("two_places_at_once", scans, 10) == (
        "HUB_Inbound at place 75 and HUB_Inbound at place 13, 157 km away, in the same second",
        "장소 75의 HUB_Inbound 스캔과 157 km 떨어진 장소 13의 HUB_Inbound 스캔이 같은 초에 발생",
    )
    scans[10] = replace(scans[10], time=_ITEM[3].time + timedelta(seconds=20))
    english, _ = said("two_places_at_once", scans, 10)
    assert english == "HUB_Inbound at place 75 and the same at place 13, 157 km away, within 20 seconds"


def test_received_at_two_places() -> None:
    scans = [*_ITEM, replace(_ITEM[3], location_id=75, time=_ITEM[3].time + 200 * _HOUR)]
    assert said("received_elsewhere_too", scans, 3) == (
        "HUB_Inbound at place 13, and the same at place 75 8.3 days later (event 11)",
        "장소 13의 HUB_Inbound 스캔, 그런데 8.3일 후에 장소 75에서도 같은 스캔(이벤트 11)",
    )
    assert said("received_elsewhere_too", scans, 10)[0].endswith("at place 13 8.3 days earlier (event 4)")


def test_back_and_forth() -> None:
    there = [replace(_ITEM[3], location_id=14, time=_ITEM[4].time + 2 * _HOUR)]
    back = [replace(_ITEM[4], time=_ITEM[4].time + 3 * _HOUR)]
    assert said("two_journeys", [*_ITEM[:5], *there, *back], 6) == (
        "HUB_Outbound at place 13, back from place 14 after 1 hour; it had been here 3 hours before",
        "장소 13의 HUB_Outbound 스캔, 장소 14에서 1시간 만에 되돌아옴; 3시간 전에도 이곳에 있었음",
    )


def test_a_second_journey_behind_the_first() -> None:
    scans = [*_ITEM[:5], replace(_ITEM[2], time=_ITEM[4].time + 3 * _HOUR)]
    assert said("two_journeys", scans, 5) == (
        "WMS_Outbound at place 5, although HUB_Outbound at place 13 was 3 hours earlier (event 5)",
        "장소 5의 WMS_Outbound 스캔, 그러나 3시간 전에 이미 장소 13의 HUB_Outbound 스캔이 있음(이벤트 5)",
    )


def test_an_unusual_journey_is_said_in_numbers() -> None:
    english, korean = said("journey_unusual", _ITEM, 3)
    assert "scans: 10, places: 5, time: 26.7 days" in english
    assert "스캔 10건, 장소 5곳, 기간 26.7일" in korean
    assert "scans: 4, places: 3, time: 4.6 days" in said("journey_unusual", _ITEM, 3, causal=True)[0]
