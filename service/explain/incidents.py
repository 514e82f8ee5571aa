"""Findings that are one story: items of a lot that went wrong together, in the same way, at the same place and time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.events.codes import parse
from service.events.journeys import Journeys
from service.features.mates import SHIPMENT_US

_Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """M findings: one event and one kind each."""

    row: _Index  # [M] of the event, in the order of the journeys
    kind: _Index  # [M] index of KINDS
    cause: _Index  # [M] index of CAUSES

    def __len__(self) -> int:
        return len(self.row)


@dataclass(frozen=True, slots=True, eq=False)
class Incident:
    """Findings that are one story."""

    findings: _Index  # positions in the `Findings`, in the order of the journeys
    items: int  # how many the findings are of


def incidents(journeys: Journeys, found: Findings) -> list[Incident]:
    """Return the incidents of ``found``, the largest first; each finding is in one.

    What an item does wrong in one way is one story, which begins with its first finding of the kind and cause. Stories
    are one incident if they begin in one shipment: items of a lot that come from the same scan, which they left within
    two hours of the first of them, to the same place. Malformed codes have no lot, and each is a story of its own.
    """
    if not len(found):
        return []
    events = journeys.events
    item = events.epc[found.row].astype(np.int64)
    # The stories, and the first finding of each: rows of an item are in the order of time.
    by_story = np.lexsort((found.row, found.cause, found.kind, item))
    parts = np.stack([item, found.kind, found.cause])[:, by_story]
    begins = np.r_[True, (parts[:, 1:] != parts[:, :-1]).any(axis=0)]
    story = np.empty(len(found), dtype=np.intp)
    story[by_story] = begins.cumsum() - 1
    first = by_story[begins]  # [stories] the finding that each begins with
    roads, departure_us = _roads(journeys, found.row[first])
    alike = _numbered(np.column_stack([roads, found.kind[first], found.cause[first]]))
    number = _shipments(alike, departure_us)[story]
    order = np.argsort(number, kind="stable")
    cuts = np.flatnonzero(np.diff(number[order])) + 1
    groups = [np.sort(group) for group in np.split(order, cuts)]
    found_incidents = [Incident(group, len(np.unique(item[group]))) for group in groups]
    return sorted(found_incidents, key=lambda one: (-one.items, -len(one.findings), int(one.findings[0])))


def _roads(journeys: Journeys, row: _Index) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return what events at ``row`` [n] share of one lot and one road [n, columns], and when they set out on it [n]."""
    events = journeys.events
    before, has_before = journeys.previous()
    left = before[row]
    departure_us = np.where(has_before[row], events.time_us[left], events.time_us[row])
    codes = parse([events.epc_codes[epc] for epc in events.epc[row].tolist()])
    alone = np.where(codes.well_formed, -1, events.epc[row])
    where_from = np.where(has_before[row], events.location_id[left], -1)
    type_from = np.where(has_before[row], events.event_type[left], -2)
    columns = (alone, codes.company, codes.product, codes.lot, where_from, type_from, events.location_id[row])
    return np.stack([column.astype(np.int64) for column in columns], axis=1), departure_us


def _shipments(group: _Index, departure_us: NDArray[np.int64]) -> _Index:
    """Return the number [n] of the shipment in its ``group`` [n]: one begins two hours after the last one did.

    Not the hours of a clock: a shipment that leaves at one would be cut in two.
    """
    number = np.empty_like(group)
    order = np.lexsort((departure_us, group))
    since, shipment, last = 0, 0, -1
    for at, one, time_us in zip(order.tolist(), group[order].tolist(), departure_us[order].tolist(), strict=True):
        if one != last or time_us - since >= SHIPMENT_US:
            since, shipment, last = time_us, shipment + 1, one
        number[at] = shipment
    return number


def _numbered(keys: NDArray[np.int64]) -> _Index:
    """Return a number [n] for each distinct row of ``keys`` [n, columns]."""
    number: _Index = np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1)
    return number
