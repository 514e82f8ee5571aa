"""A real log is read as what came, waited and left, on the days on which as much came as is usual."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from tests.tools.flow_log.__main__ import read_log
from tests.tools.flow_log.steady import steady_months


def months(*counts: int) -> list[int]:
    """Return the times of so many cases in each month from January 2024 on, in microseconds."""
    found = []
    for month, count in enumerate(counts, start=1):
        begin = datetime(2024, month, 1, tzinfo=UTC).timestamp()
        found += [int((begin + 3600 * at) * 1e6) for at in range(count)]
    return found


def test_months_of_a_log_that_begins_and_ends_are_left_out() -> None:
    assert steady_months(months(3, 40, 100, 90, 130, 60, 110, 39, 5)) == ("2024-03-01", "2024-07-31")
    assert steady_months(months(10, 10)) == ("2024-01-01", "2024-02-29")
    assert steady_months(months(10, 10, 0, 10, 10, 10)) == ("2024-04-01", "2024-06-30")  # none came in March
    with pytest.raises(ValueError, match="there are no cases"):
        steady_months([])


@pytest.mark.parametrize(
    ("names", "zone"),
    [
        ("Case ID,Activity,Complete Timestamp,Resource", "+00:00"),
        ("case:concept:name,Activity,time:timestamp,Resource", "+02:00"),
    ],
)
def test_tickets_wait_where_they_were_last(names: str, zone: str, tmp_path: Path) -> None:
    rows = [names]
    first = date(2024, 1, 1)
    for case in range(120):  # one a day: taken on the same day, resolved two days later, closed after five
        who = ("A", "A", "A", "B", "B", "C")[case % 6]
        for activity, days, hour in (("Assign", 0, 8), ("Take", 0, 9), ("Resolve", 2, 12), ("Closed", 5, 12)):
            day = first + timedelta(days=case + days)
            rows.append(f"Case {case},{activity},{day} {hour:02d}:00:00{zone},{who}")
    path = tmp_path / "helpdesk.csv"
    path.write_text("\n".join([rows[0], *reversed(rows[1:])]) + "\n", encoding="utf-8")
    log = read_log(path)
    assert (log.first_day, log.last_day) == ("2024-01-01", "2024-04-30")
    assert log.product.count(1) == 60
    assert log.product.count(2) == 40
    assert log.product.count(3) == 20
    history = log.history()
    of_queue = {
        name: history.series.wip[history.series.keys[:, 0] == name].sum(axis=0)[20:100] for name in ("1", "2", "3")
    }  # Assign, Resolve, Take
    np.testing.assert_array_equal(of_queue["1"], 0)  # as a day ends
    np.testing.assert_array_equal(of_queue["2"], 3)
    np.testing.assert_array_equal(of_queue["3"], 2)
