"""The time line of a journey as a drawing: a row a scan, the time from left to right, and when it usually would be.

The band of a row begins where the scan before it was: from there it reaches over the times that normal legs take. So
a scan left of its band came too early, one right of it too late. Mates that had the same scan are small marks beside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from service.findings.records import ScanRow
from service.web.pages.atlas import UsualLeg

WIDTH, LEFT, RIGHT, TOP, ROW = 960, 262, 24, 34, 40
"""Of the drawing, in its own units: in all, the labels, the margin, the axis, and a row."""

_MINUTE_US = 60_000_000
_STEPS_H = (1, 2, 3, 6, 12, 24, 48, 96, 168, 336, 720, 2160, 8760)
_MOST_TICKS = 8
_SHOWN_BEYOND = 0.6
"""A band may make the drawing so much wider than the journey is; what is beyond is cut off."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class TimeTick:
    """A line of the axis."""

    x: float
    text: str


@dataclass(frozen=True, slots=True)
class TimeRow:
    """One scan in the drawing."""

    y: float
    x: float
    scan: ScanRow
    band: tuple[float, float, float] | None  # from x, to x, the median's x
    mates: tuple[float, ...]  # x of the same scan of mates


@dataclass(frozen=True, slots=True)
class Timeline:
    """The drawing."""

    width: int
    height: int
    left: int
    ticks: tuple[TimeTick, ...]
    rows: tuple[TimeRow, ...]


def timeline(
    scans: Sequence[ScanRow], usual: Sequence[UsualLeg | None], mates: Sequence[Sequence[ScanRow]]
) -> Timeline:
    """Return the drawing of a journey of n scans; ``usual`` [n] is of the legs to them."""
    of_mates = [_same_scans(scan, mates) for scan in scans]
    begin, end = _range(scans, usual, of_mates)

    def x(local_us: float) -> float:
        inner = WIDTH - LEFT - RIGHT
        return round(LEFT + inner * min(max((local_us - begin) / (end - begin), 0.0), 1.0), 1)

    rows = []
    for at, (scan, leg, marks) in enumerate(zip(scans, usual, of_mates, strict=True)):
        band = None
        if leg is not None:
            left_us = scans[at - 1].time_us + (scan.local_us - scan.time_us)  # by the clock of where it comes to
            low, high, middle = (left_us + minutes * _MINUTE_US for minutes in (leg.low, leg.high, leg.median))
            if low <= end:
                band = (x(low), max(x(high), x(low) + 2), x(middle))
        shown = tuple(sorted({x(mark) for mark in marks if begin <= mark <= end}))
        rows.append(TimeRow(TOP + ROW * at + ROW / 2, x(scan.local_us), scan, band, shown))
    ticks = tuple(TimeTick(x(at), text) for at, text in _ticks(begin, end))
    return Timeline(WIDTH, TOP + ROW * len(rows) + 8, LEFT, ticks, tuple(rows))


def _same_scans(scan: ScanRow, mates: Sequence[Sequence[ScanRow]]) -> list[int]:
    return [
        other.local_us
        for mate in mates
        for other in mate
        if other.event_type == scan.event_type and other.location_id == scan.location_id
    ]


def _range(
    scans: Sequence[ScanRow], usual: Sequence[UsualLeg | None], of_mates: Sequence[Sequence[int]]
) -> tuple[float, float]:
    """Return the first and last local microsecond that is shown."""
    times = [scan.local_us for scan in scans]
    begin, end = float(min(times)), float(max(times))
    widest = end + _SHOWN_BEYOND * max(end - begin, 3_600e6)
    bands = [scans[at - 1].local_us + leg.high * _MINUTE_US for at, leg in enumerate(usual) if leg is not None]
    marks = [float(mark) for row in of_mates for mark in row]
    end = max([end, *(min(one, widest) for one in (*bands, *marks))])
    earliest = begin - 0.2 * max(end - begin, 3_600e6)
    begin = min([begin, *(max(mark, earliest) for mark in marks)])
    margin = max((end - begin) * 0.02, 60e6)
    return begin - margin, end + margin


def _ticks(begin: float, end: float) -> list[tuple[float, str]]:
    hour = 3_600e6
    step = next((h for h in _STEPS_H if (end - begin) / (h * hour) <= _MOST_TICKS), _STEPS_H[-1]) * hour
    first = -(-begin // step) * step
    found = [first + at * step for at in range(int((end - first) // step) + 1)][: 2 * _MOST_TICKS]
    return [(at, _label(at, whole_days=step >= 24 * hour)) for at in found]


def _label(local_us: float, *, whole_days: bool) -> str:
    try:
        moment = _EPOCH + timedelta(microseconds=local_us)
    except OverflowError:  # before year 1 or after 9999
        return ""
    return moment.strftime("%m-%d" if whole_days or not moment.hour else "%m-%d %H:%M")
