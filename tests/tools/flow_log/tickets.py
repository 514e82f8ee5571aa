"""Tickets of the help desk of an Italian software company: 4,580 from January 2010 to November 2013.

Columns ``Case ID``, ``Activity``, ``Complete Timestamp``, ``Resource``, or as tools that saved the log again name them,
``case:concept:name`` and ``time:timestamp``; times are those of the office's clock, whatever zone they name. The queue
of a ticket is what was done with it last, its product who had it first: the busiest two of the staff, or another. The
days that count are those of `steady_months`: the log begins with few, and ends with fewer than half of what came
before.
"""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from datetime import UTC, datetime
from pathlib import Path

from tests.tools.flow_log.event_log import EventLog, Visits
from tests.tools.flow_log.steady import steady_months

_BUSIEST = 2

_CASE, _TIME = ("Case ID", "case:concept:name"), ("Complete Timestamp", "time:timestamp")
"""Names of a column, by who saved the log."""


def read_tickets(path: Path) -> EventLog:
    """Return the cases of the CSV file."""
    events: dict[str, list[tuple[int, str, str]]] = defaultdict(list)
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        case, time = (next(name for name in names if name in (rows.fieldnames or ())) for names in (_CASE, _TIME))
        for row in rows:
            clock = datetime.fromisoformat(row[time]).replace(tzinfo=UTC)
            events[row[case]].append((int(clock.timestamp() * 1e6), row["Activity"], row["Resource"]))
    cases = [sorted(one, key=lambda event: event[0]) for one in events.values()]
    who = Counter(one[0][2] for one in cases)
    busiest = [name for name, _ in who.most_common(_BUSIEST)]
    product = [1 + busiest.index(one[0][2]) if one[0][2] in busiest else 1 + _BUSIEST for one in cases]
    first_day, last_day = steady_months(one[0][0] for one in cases)
    return EventLog([_visits(one) for one in cases], product, "UTC", first_day, last_day)


def _visits(events: list[tuple[int, str, str]]) -> Visits:
    visits: Visits = []
    for time_us, activity, _ in events[:-1]:
        if not visits or visits[-1][0] != activity:
            visits.append((activity, time_us))
    return [*visits, ("", events[-1][0])]
