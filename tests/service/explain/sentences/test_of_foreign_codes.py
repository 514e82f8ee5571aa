"""The sentences of fakes whose codes are of another scheme: a serial may be a name, which lies nowhere."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from service.dialect.dialect import Dialect
from service.events.foreign import ForeignParts, serial_of
from service.explain.reasons import Reasons
from tests.service.explain.journeys import case_of, cause, first_cause, row_of
from tests.support.worlds import journey, reference


def item(serial: int) -> str:
    """Return a code of a lot that was never issued."""
    return ForeignParts(1, 8_804_823, 1_293_291, 77, 20_250_701, serial).text()


def test_a_serial_that_is_a_name_lies_outside_of_no_block() -> None:
    scans = [*(scan for number in range(20) for scan in journey(item(4_000 + number))), *journey(item(-5))]
    case = case_of([*scans, *journey(item(9_001))])
    reasons = Reasons(case, reference(), "en")

    def said(event_id: int) -> str:
        row = row_of(case, event_id)
        return reasons.sentence(row, cause("serial_outside_lot"), row)

    assert said(len(scans) + 1).startswith("The serial 9001 lies 4,984 outside of those of its lot")
    assert said(len(scans)) == "The code as a whole is unlike those that were issued; none was issued of its lot"


def test_names_are_near_to_nothing_and_are_not_said_as_numbers() -> None:
    """Half of a lot has names for serials: such an item has no near mate, whatever its name, and is none of another."""
    serials = [*(serial_of(name) for name in ("AX7", "BQ9", "ZZ1", "K2")), 4_000, 4_060, 4_120, 9_001]
    case = case_of([scan for serial in serials for scan in journey(item(serial))])
    reasons = Reasons(case, reference(), "en")
    told = []
    for begin in range(0, 10 * len(serials), 10):
        row = row_of(case, begin + 1)
        first = first_cause(case, row, "epcFake")
        told.append((first, reasons.sentence(row, cause(first), row)))
    unusual = "The code as a whole is unlike those that were issued; none was issued of its lot"
    assert told[:4] == [("code_unusual", unusual)] * 4
    assert told[5] == (
        "serial_never_shipped",
        "The serial is 4060; mates with Aggregation at place 1 next to it: 3, with serials 4000, 4120, 9001",
    )
    outside = (
        "The serial 9001 lies 4,881 outside of those of its lot: of 3 other items at hand 3 have serials 4000 to 4120"
    )
    assert told[7] == ("serial_outside_lot", outside)


@pytest.mark.parametrize(
    ("codes", "code", "english", "korean"),
    [
        ({"scheme": "gs1"}, "(01)x(21)1", "its GTIN (01) is not of 14 digits", "GTIN(01)이 14자리 숫자가 아님"),
        (
            {"scheme": "gs1"},
            "(01)80614141123457(21)1",
            "the check digit of its GTIN 80614141123457 is 7, not 8",
            "GTIN 80614141123457의 검사 숫자는 7, 올바른 값은 8",
        ),
        (
            {"scheme": "dashed"},
            "x",
            "it is not of the form header-company-product-lot-date-serial, of 3, 7, 7, 6, 8 and 9 digits",
            "header-company-product-lot-date-serial 형식(각 3, 7, 7, 6, 8, 9자리)이 아님",
        ),
    ],
)
def test_why_a_code_is_none_of_the_scheme_is_said_in_the_language(
    codes: dict[str, Any], code: str, english: str, korean: str
) -> None:
    case, known = case_of(journey(code)), replace(reference(), dialect=Dialect.model_validate({"codes": codes}))
    for language, why in (("en", english), ("ko", korean)):
        said = Reasons(case, known, language).sentence(0, cause("code_malformed"), 0)
        assert why in said
        assert (english in said) == (language == "en")
