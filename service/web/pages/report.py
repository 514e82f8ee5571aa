"""The report of one file: how many findings of which kind, when, where, and of what."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from service.events.vocabulary import KINDS
from service.findings.records import FileReport, GroupCount

MOST_ROWS = 20
"""Places, products and lots that are shown: those with the most findings."""


@dataclass(frozen=True, slots=True)
class CountsOf:
    """The findings of one place, product, lot or day."""

    key: str
    name: str
    counts: tuple[int, ...]  # [5] flagged events by kind, in the order of KINDS
    total: int


@dataclass(frozen=True, slots=True)
class Breakdown:
    """A table of the report."""

    rows: tuple[CountsOf, ...]  # the most first
    others: int  # rows that are not shown

    @property
    def most(self) -> int:
        """The largest sum of a row, at least 1."""
        return max((row.total for row in self.rows), default=1)


@dataclass(frozen=True, slots=True)
class ReportPage:
    """What the page shows."""

    file: FileReport
    days: tuple[CountsOf, ...]  # those with findings, in order
    places: Breakdown
    products: Breakdown
    lots: Breakdown

    @property
    def by_kind(self) -> list[tuple[str, int, float]]:
        """Return (kind, flagged events, percent of the most) of each kind."""
        counts = [self.file.counts[kind] for kind in KINDS]
        most = max(counts) or 1
        return [(kind, count, 100 * count / most) for kind, count in zip(KINDS, counts, strict=True)]

    @property
    def chart_json(self) -> str:
        """Return what the script draws of the days: names, and one list for each kind."""
        kinds = {kind: [day.counts[at] for day in self.days] for at, kind in enumerate(KINDS)}
        return json.dumps({"days": [day.key for day in self.days], "kinds": kinds})


def report_page(
    file: FileReport,
    days: Iterable[GroupCount],
    places: Iterable[GroupCount],
    products: Iterable[GroupCount],
    lots: Iterable[GroupCount],
) -> ReportPage:
    """Return the page of a report, given its findings by day, place, product and lot."""
    shown = tuple(row for row in map(_counts, days) if row.key)
    return ReportPage(file, shown, _breakdown(places), _breakdown(products), _breakdown(lots))


def _breakdown(groups: Iterable[GroupCount]) -> Breakdown:
    ranked: Sequence[CountsOf] = sorted(map(_counts, groups), key=lambda row: (-row.total, row.name))
    return Breakdown(tuple(ranked[:MOST_ROWS]), max(len(ranked) - MOST_ROWS, 0))


def _counts(group: GroupCount) -> CountsOf:
    counts = tuple(group.counts[kind] for kind in KINDS)
    return CountsOf(group.key, group.name, counts, sum(counts))
