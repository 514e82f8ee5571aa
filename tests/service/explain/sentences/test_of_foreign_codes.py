"""The sentences of fakes whose codes are of another scheme: a serial may be a name, which lies nowhere."""

from __future__ import annotations

from service.events.foreign import ForeignParts
from service.explain.reasons import Reasons
from tests.service.explain.journeys import case_of, cause, row_of
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
