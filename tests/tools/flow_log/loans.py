"""Loan applications of a Dutch bank: 13,087 from October 2011 to March 2012.

The queue of a case is the work (``W_`` activities) that it waits for, its product a third of the amounts asked for. The
last two weeks of the log only close what began before, and are left out.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from tests.tools.flow_log.event_log import EventLog, Visits

_LAST_DAY = "2012-02-29"
_INTAKE = "A_SUBMITTED"


def read_loans(path: Path) -> EventLog:
    """Return the cases of the gzipped XES log."""
    listed = list(_cases(path))
    thirds = np.quantile([amount for amount, _ in listed], [1 / 3, 2 / 3])
    product = [1 + int(np.searchsorted(thirds, amount)) for amount, _ in listed]
    return EventLog([visits for _, visits in listed], product, "Europe/Amsterdam", None, _LAST_DAY)


def _cases(path: Path) -> Iterator[tuple[float, Visits]]:
    with gzip.open(path) as file:
        for _, trace in ElementTree.iterparse(file):
            if trace.tag.rpartition("}")[2] != "trace":  # copies that tools saved again have no namespace
                continue
            values = {one.get("key"): one.get("value") or "" for one in trace if one.get("key")}
            visits: Visits = []
            end = 0
            for event in trace.findall("{*}event"):
                of = {one.get("key"): one.get("value") or "" for one in event}
                end = int(datetime.fromisoformat(of["time:timestamp"]).timestamp() * 1e6)
                name = of["concept:name"] if of["concept:name"].startswith("W_") or not visits else visits[-1][0]
                if not visits or visits[-1][0] != name:
                    visits.append((name if name.startswith("W_") else _INTAKE, end))
            yield float(values["AMOUNT_REQ"]), [*visits, ("", end)]
            trace.clear()
