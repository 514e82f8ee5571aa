"""From the log to the tables."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from service.events.zones import TimeZones
from service.flow.measures import measure
from service.flow.series import FlowSeries
from service.flow.stays import STILL_THERE, Known, Stays
from service.jobs.progress import shown_progress
from training.evaluation.report import write_sheets
from training.flow.backtest import backtest
from training.flow.config import FlowConfig
from training.flow.history import FlowHistory
from training.flow.items import ItemDays
from training.flow.report import sheets_of

LAST_DAY = "2012-02-29"
_INTAKE = "A_SUBMITTED"

Case = tuple[float, list[tuple[str, int]]]
"""The amount asked for, and the queues that the case came to with their times in microseconds, the end last."""


def cases(path: Path) -> Iterator[Case]:
    """Yield the cases of a gzipped XES log."""
    with gzip.open(path) as file:
        for _, trace in ElementTree.iterparse(file):
            if trace.tag.rpartition("}")[2] != "trace":  # copies that tools saved again have no namespace
                continue
            values = {one.get("key"): one.get("value") or "" for one in trace if one.get("key")}
            visits: list[tuple[str, int]] = []
            end = 0
            for event in trace.findall("{*}event"):
                of = {one.get("key"): one.get("value") or "" for one in event}
                end = int(datetime.fromisoformat(of["time:timestamp"]).timestamp() * 1e6)
                name = of["concept:name"] if of["concept:name"].startswith("W_") or not visits else visits[-1][0]
                if not visits or visits[-1][0] != name:
                    visits.append((name if name.startswith("W_") else _INTAKE, end))
            yield float(values["AMOUNT_REQ"]), [*visits, ("", end)]
            trace.clear()


def stays_of_log(path: Path) -> tuple[Stays, list[str]]:
    """Return the stays of all cases, and a code for each, whose product is the third of its amount."""
    listed = list(cases(path))
    thirds = np.quantile([amount for amount, _ in listed], [1 / 3, 2 / 3])
    codes = [
        f"001.0000001.{1 + int(np.searchsorted(thirds, amount)):07d}.000001.20111001.{number:09d}"
        for number, (amount, _) in enumerate(listed)
    ]
    queues = sorted({name for _, visits in listed for name, _ in visits if name})
    rows = [
        (case, queues.index(name), came, visits[at + 1][1], visits[0][1])
        for case, (_, visits) in enumerate(listed)
        for at, (name, came) in enumerate(visits[:-1])
    ]
    epc, place, came, left, first = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    nothing = np.zeros(len(rows), dtype=np.int8)
    stays = Stays(
        epc=epc.astype(np.int32), location_id=place + 1, step=nothing - 1, arrived_us=came, left_us=left,
        arrival=nothing, departure=nothing + Known.SCANNED, first_us=first, sold=nothing.astype(np.bool_),
        last_us=int(left.max()),
    )  # fmt: skip
    assert (left < STILL_THERE).all()
    return stays, codes


def history_of(path: Path) -> FlowHistory:
    """Return the history of the log up to `LAST_DAY`."""
    stays, codes = stays_of_log(path)
    zones = TimeZones("Europe/Amsterdam")
    series = FlowSeries.from_flow(measure(stays, codes, zones))
    series = series.until(int(np.datetime64(LAST_DAY, "D").astype(np.int64)))
    return FlowHistory(series, ItemDays.of(stays, codes, zones, series))


if __name__ == "__main__":
    with shown_progress() as progress:
        found = backtest(history_of(Path(sys.argv[1])), FlowConfig(), progress)
    write_sheets(sheets_of(found))
