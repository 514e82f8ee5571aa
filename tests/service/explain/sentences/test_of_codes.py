"""The sentences of fakes. Normal here: 40 issued codes each of two products, serials 4000-4039 and 5000-5039."""

from __future__ import annotations

import pytest

from tests.service.explain.journeys import said
from tests.support.worlds import OTHER_LOT, OTHER_PRODUCT, ROUTE, code, journey, shipment

_FIRST = 0


@pytest.mark.parametrize(
    ("cause", "item", "english", "korean"),
    [
        (
            "code_malformed",
            "001.88",
            'The code "001.88" of 6 characters is not of the form header.company.product.lot.date.serial'
            " (45 characters)",
            '6자인 코드 "001.88": 형식 header.company.product.lot.date.serial(45자)에 맞지 않음',
        ),
        (
            "header_unknown",
            "999.8804823.1293291.010004.20250701.000004001",
            "No code with header 999 was ever issued; 80 of 80 issued codes have header 001",
            "헤더 999의 코드는 발행된 적이 없음; 발행 코드 80개 중 80개의 헤더는 001",
        ),
        (
            "company_unknown",
            "001.1111111.1293291.010004.20250701.000004001",
            "Company 1111111 never issued a code; all 80 issued codes are of company 8804823",
            "코드를 발행한 적이 없는 업체 1111111; 발행 코드 80개는 모두 업체 8804823의 코드",
        ),
        (
            "product_of_other_company",
            "001.1111111.1293291.010004.20250701.000004001",
            "Product 1293291 is issued by company 8804823 (issued codes: 40), never by company 1111111",
            "제품 1293291의 발행 업체는 8804823(발행 코드 40개), 업체 1111111에서 발행된 적은 없음",
        ),
        (
            "product_unknown",
            code(4001, product=7),
            "Company 8804823 never issued product 0000007; its 80 issued codes are of 2 other products",
            "업체 8804823에서 제품 0000007의 코드를 발행한 적이 없음; 이 업체의 발행 코드 80개는 다른 제품 2종의 코드",
        ),
        (
            "lot_of_other_product",
            code(4001, lot=OTHER_LOT),
            "Lot 010005 was issued for product 1293292 (issued codes: 40), never for product 1293291",
            "로트 010005의 코드는 제품 1293292에만 발행됨(발행 코드 40개), 제품 1293291에는 발행된 적이 없음",
        ),
        (
            "date_invalid",
            code(4001, date="20251345"),
            "20251345 is no date of the calendar; the 40 issued codes of lot 010004 are all of 2025-07-01",
            "생산일 20251345: 달력에 없는 날짜; 로트 010004의 발행 코드 40개는 모두 2025-07-01 생산",
        ),
        (
            "date_invalid",
            code(4001, date="20251345", lot=77),  # nothing is known of the lot, nothing is said of it
            "20251345 is no date of the calendar",
            "생산일 20251345: 달력에 없는 날짜",
        ),
        (
            "date_after_scan",
            code(4001, date="20250720"),
            "First scanned at 2025-07-01 09:00, 18.6 days before the day on which the code says it was made,"
            " 2025-07-20",
            "최초 스캔은 2025-07-01 09:00, 코드의 생산일 2025-07-20보다 18.6일 앞섬",
        ),
        (
            "date_not_of_lot",
            code(4001, date="20250601"),
            "The date 2025-06-01 lies 30 days outside of those of its lot;"
            " the 40 issued codes of lot 010004 are all of 2025-07-01",
            "생산일 2025-06-01: 해당 로트의 생산일 범위를 30일 벗어남;"
            " 로트 010004의 발행 코드 40개는 모두 2025-07-01 생산",
        ),
        (
            "serial_outside_lot",
            code(9001),
            "The serial 9001 lies 4,962 outside of those of lot 010004: 40 issued codes, serials 4000 to 4039",
            "일련번호 9001: 로트 010004의 범위를 4,962만큼 벗어남; 발행 코드 40개, 일련번호 4000~4039",
        ),
        (
            "serial_never_shipped",
            code(4900),
            "No mate of serial 4900 is at hand",
            "일련번호 4900: 확인된 동일 로트 물품이 없음",
        ),
        (
            "code_unusual",
            code(4001),
            'The code "001.8804823.1293291.010004.20250701.000004001" as a whole is unlike those that were issued,'
            " 40 of them of its lot",
            '코드 "001.8804823.1293291.010004.20250701.000004001": 전체적으로 발행된 코드와 다름,'
            " 같은 로트의 발행 코드는 40개",
        ),
        (
            "code_unusual",
            code(4001, lot=77),
            'The code "001.8804823.1293291.000077.20250701.000004001" as a whole is unlike those that were issued;'
            " none was issued of its lot",
            '코드 "001.8804823.1293291.000077.20250701.000004001": 전체적으로 발행된 코드와 다름;'
            " 같은 로트로 발행된 코드가 없음",
        ),
    ],
)
def test_a_code_is_said_with_what_was_issued(cause: str, item: str, english: str, korean: str) -> None:
    assert said(cause, journey(item), _FIRST) == (english, korean)


def test_a_hostile_code_is_shown_not_obeyed() -> None:
    for sentence in said("code_malformed", journey("\u202e{code}\x1b[2J" + "9" * 1_000), _FIRST):
        assert '"\\u202e{code}\\u001b[2J' in sentence
        assert '9…"' in sentence
        assert len(sentence) < 200
        assert sentence.isprintable()
    assert "of 1,011 characters" in said("code_malformed", journey("\u202e{code}" + "9" * 1_004), _FIRST)[0]


def test_a_journey_that_begins_downstream_is_said_with_how_journeys_begin() -> None:
    english, korean = said("first_seen_downstream", journey(code(4001))[4:], 2)
    assert (
        english == "The journey begins with HUB_Outbound at place 13; 80 of 80 normal journeys begin with Aggregation"
    )
    assert korean == "이력이 장소 13의 HUB_Outbound 스캔으로 시작됨; 정상 이력 80건 중 80건은 Aggregation 스캔으로 시작"


def test_serials_are_those_of_the_mates_next_to_the_scan() -> None:
    # 10 mates, a minute apart; the stranger comes with the first of them, so that four stand behind it
    scans = [*shipment(ROUTE, range(4_000, 4_010)), *journey(code(4_900))]
    english, korean = said("serial_never_shipped", scans, -10)
    assert english == (
        "The serial is 4900; mates with Aggregation at place 1 next to it: 5, with serials 4000, 4001, 4002, 4003, 4004"
    )
    assert korean.endswith("동일 로트 물품 5개의 일련번호는 4000, 4001, 4002, 4003, 4004")


def test_serials_of_a_causal_judgement_are_of_the_past() -> None:
    scans = [*shipment(ROUTE, range(4_000, 4_010)), *journey(code(4_900))]
    english, _ = said("serial_never_shipped", scans, -10, causal=True)
    assert english == "The serial is 4900; mates with Aggregation at place 1 next to it: 1, with serials 4000"


def test_the_nearest_serial_is_named_where_no_mate_was_scanned() -> None:
    scans = [*shipment(ROUTE[:2], range(4_000, 4_010)), *journey(code(4_900))]
    english, _ = said("serial_never_shipped", scans, -1)
    assert english == "No mate of serial 4900 has POS_Sell at place 74; the nearest serial of its lot at hand is 4009"


def test_an_unknown_lot_is_judged_by_the_items_at_hand() -> None:
    others = shipment(ROUTE, range(4_000, 4_009), lot=77, product=OTHER_PRODUCT)
    scans = [*others, *journey(code(4_010, lot=77)), *journey(code(4_011, lot=77))]
    english, korean = said("lot_of_other_product", scans, -1)
    assert english == "Other items of lot 000077 at hand: 10, of product 1293291: 1; most are of product 1293292"
    assert korean == "확인된 로트 000077의 다른 물품 10개 중 제품 1293291인 것은 1개; 대부분은 제품 1293292"


def test_serials_of_an_unknown_lot_are_those_of_its_items_at_hand() -> None:
    scans = [*shipment(ROUTE, range(4_000, 4_020), lot=77), *journey(code(9_001, lot=77))]
    english, korean = said("serial_outside_lot", scans, -1)
    assert english == (
        "The serial 9001 lies 4,984 outside of those of its lot: of 20 other items at hand 16 have serials 4002 to 4017"
    )
    assert korean.endswith("다른 물품 20개 중 16개의 일련번호는 4002~4017")


def test_of_an_unknown_lot_the_items_at_hand_are_counted() -> None:
    english, korean = said("lot_unknown", [*journey(code(1, lot=77)), *journey(code(2, lot=77))], -1)
    assert english == "No code of lot 000077 of product 1293291 was issued; other items of it at hand: 1"
    assert korean == "발행된 코드 없음: 제품 1293291, 로트 000077; 확인된 같은 로트의 다른 물품: 1개"


def test_a_date_inside_of_an_unknown_lot_is_judged_by_the_mates() -> None:
    scans = [*shipment(ROUTE, range(4_000, 4_009), lot=77), *journey(code(4_010, lot=77, date="20250630"))]
    english, korean = said("date_not_of_lot", scans, -1)
    assert english == "Of 9 mates at hand, 0 have the date 2025-06-30; most have 2025-07-01"
    assert korean == "확인된 동일 로트 물품 9개 중 생산일이 2025-06-30인 것은 0개; 대부분은 2025-07-01"
