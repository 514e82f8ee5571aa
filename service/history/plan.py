"""What a request adds to a history, worked out without asking the store: what is known of its items, and its news."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from service.events.columns import Events
from service.events.groups import Index, stable_order
from service.events.hash_table import mix
from service.events.vocabulary import type_index
from service.features import table as features
from service.features.case import Case
from service.features.past import JudgedBefore, Past
from service.features.reference import Reference
from service.features.running_groups import Sighting
from service.history.index import HistoryIndex, ItemRows, News, legs
from service.history.items import EVENT, NamedItems
from service.history.ledger import Ledger
from service.history.store import RECORD

EARLIER_EVENTS = 64
"""Earlier events of an item that are read: journeys have 5 events in the mean and 10 at most, if nothing is wrong."""


@dataclass(frozen=True, slots=True, eq=False)
class Remembered:
    """The events of a request, now stored, and what is known of their items."""

    events: Events
    stored: Stored
    case: Case  # causal
    late: int  # events of the request that came after later ones of their item
    reused: int  # events of the request with the id that another event of their item had before

    def everything(self) -> Events:
        """Return the stored events of the same items that the request does not have, and then those of the request."""
        events, stored = self.events, self.stored
        unasked = np.setdiff1d(np.arange(len(stored.epc)), stored.found)
        return _together(stored.records[unasked], stored.epc[unasked], events, np.arange(len(events)), events.epc_codes)


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """K stored events of the items of a request, item by item, each as they came."""

    records: NDArray[np.void]  # [K]
    epc: Index  # [K] index into the request's codes
    found: Index  # [A] the record of each event of the request, -1 if it is new

    @classmethod
    def of(cls, events: Events, rows: ItemRows, index: HistoryIndex) -> Stored:
        numbers, epc, found = index.find(rows, events, EARLIER_EVENTS)
        return cls(index.take(numbers), epc, found)

    def reused(self, events: Events) -> int:
        """Return how many ``events`` have the id of a record of their item that came before them."""
        of_record = mix(EVENT, self.epc, self.records["event_id"])
        of_event = mix(EVENT, events.epc, events.event_id)
        order = np.argsort(of_record, kind="stable")
        place = np.minimum(np.searchsorted(of_record[order], of_event), len(order) - 1)
        first = order[place]
        return int(((of_record[first] == of_event) & (first != self.found)).sum())

    def disordered(self) -> NDArray[np.bool_]:
        """Return whether [K] the item of each record has one that came after a later one."""
        time_us, event_id, same = self.records["time_us"], self.records["event_id"], self.epc[1:] == self.epc[:-1]
        back = (time_us[1:] < time_us[:-1]) | ((time_us[1:] == time_us[:-1]) & (event_id[1:] < event_id[:-1]))
        return np.isin(self.epc, self.epc[1:][same & back])


def plan(
    events: Events, items: NamedItems, ledger: Ledger, index: HistoryIndex, reference: Reference
) -> tuple[Remembered, News | None]:
    """Return what is known of the events, and what there is to store, None if no event is new."""
    index.take_in()
    rows = index.rows(items, ledger.lots(items))
    stored = Stored.of(events, rows, index)
    past = Past(
        judged_before=None,
        parts=items.parts,
        lot=rows.lot,
        item=items.item,
        seen_before=rows.has_records,
        items=_items_before(items, rows, ledger.counts(items)),
        groups=index.groups,
    )
    together, asked, reused = events, None, 0
    if len(stored.epc):
        together, asked, past = _among_stored(events, stored, past)
        reused = stored.reused(events)
    case = Case.after(past, together, reference, asked)
    late = 0 if past.judged_before is None else _late(case, past.judged_before.stored, len(events.epc_codes))
    remembered = Remembered(events, stored, case, late, reused)
    if case.sighting is None:
        return remembered, None
    return remembered, _news(case, case.sighting, past, items, rows)


def _items_before(items: NamedItems, rows: ItemRows, counts: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Return how many items [U] each group of items has, by its name in `features.companions`."""
    well_formed = items.parts.well_formed
    by_name = {
        name: np.where(well_formed, counts[index], rows.has_records) for name, index in items.count_of.items()
    }  # a malformed code has no mates: of its groups it is the only item
    return by_name | {
        "lot": rows.value[1].astype(np.float64),
        "day": rows.value[2].astype(np.float64),
        "all": np.full(len(well_formed), counts[0]),
    }


def _among_stored(events: Events, stored: Stored, past: Past) -> tuple[Events, Index, Past]:
    """Return (the events after the stored ones of their items, [A] where each event is, the past with those).

    A repeated event of an item whose events came in disorder gets a journey of its own, that of its first time.
    """
    codes, new = len(events.epc_codes), np.flatnonzero(stored.found < 0)
    again = np.flatnonzero((stored.found >= 0) & np.append(stored.disordered(), False)[stored.found])
    then = [
        np.flatnonzero((stored.epc == events.epc[at]) & (np.arange(len(stored.epc)) <= stored.found[at]))
        for at in again
    ]
    before = np.concatenate([np.arange(len(stored.epc)), *then])
    owner = np.concatenate([stored.epc, np.repeat(codes + np.arange(len(then)), [len(rows) for rows in then])])
    asked = stored.found.copy()
    asked[new] = len(before) + np.arange(len(new))
    asked[again] = len(stored.epc) + np.cumsum([len(rows) for rows in then], dtype=np.intp) - 1
    epc_codes = [*events.epc_codes, *(events.epc_codes[code] for code in events.epc[again].tolist())]
    together = _together(stored.records[before], owner, events, new, epc_codes)
    records = np.concatenate([stored.records[before], np.zeros(len(new), dtype=RECORD)])
    judged_before = JudgedBefore(np.arange(len(records)) < len(before), legs(records), records["companions"])
    if len(again):
        past = past.repeated(events.epc[again])
    return together, asked, replace(past, judged_before=judged_before)


def _together(records: NDArray[np.void], epc: Index, events: Events, rows: Index, epc_codes: Sequence[str]) -> Events:
    """Return the stored ``records`` [k], of the codes ``epc`` [k], followed by ``rows`` of ``events``."""
    return Events(
        event_id=np.concatenate([records["event_id"], events.event_id[rows]]),
        epc=np.concatenate([epc.astype(np.int32), events.epc[rows]]),
        epc_codes=epc_codes,
        location_id=np.concatenate([records["location_id"], events.location_id[rows]]),
        step=np.concatenate([records["step"], events.step[rows]]),
        event_type=np.concatenate([records["event_type"], events.event_type[rows]]),
        time_us=np.concatenate([records["time_us"], events.time_us[rows]]),
        file_id=np.concatenate([np.zeros(len(records), dtype=np.int64), events.file_id[rows]]),
    )


def _late(case: Case, stored: NDArray[np.bool_], codes: int) -> int:
    """Return how many asked events came after later ones of their item; journeys past ``codes`` are of such items."""
    journeys = case.journeys
    at = np.arange(len(journeys.order))
    is_stored = stored[journeys.order]
    last_known = journeys.spread(np.maximum.reduceat(np.where(is_stored, at, -1), journeys.start))
    last = journeys.spread(journeys.start + journeys.length - 1)
    late = np.where(is_stored, (journeys.events.epc >= codes) & (at < last), last_known > at)
    return int(late[case.rows].sum())


def _news(case: Case, sighting: Sighting, past: Past, items: NamedItems, item_rows: ItemRows) -> News:
    """Return what the fresh events of a case, those sighted, add, log by log, each in the order of time."""
    journeys, events = case.journeys, case.journeys.events
    rows = journeys.by_time
    if past.judged_before is not None:
        rows = rows[~past.judged_before.stored[journeys.order[rows]]]
    order, log = stable_order(items.log_of[events.epc[rows]], len(items.log_keys))
    rows = rows[order]
    epc, (before, has_before) = events.epc[rows], journeys.previous()
    there, has_before = before[rows], has_before[rows]
    records = np.zeros(len(rows), dtype=RECORD)
    for name in ("event_id", "time_us", "location_id", "event_type", "step"):
        records[name] = getattr(events, name)[rows]
    for name in ("header", "date", "serial"):
        records[name] = getattr(items.parts, name)[epc]
    records["time_before_us"] = events.time_us[np.where(has_before, there, rows)]
    records["location_before"] = np.where(has_before, events.location_id[there], 0)
    records["kind_before"] = np.where(has_before, type_index(events.event_type[there]), -1)
    records["companions"] = case.features[rows, features.COMPANIONS]
    cuts = np.searchsorted(log, np.arange(len(items.log_keys) + 1)).tolist()
    appends = [records[begin:end].tobytes() for begin, end in pairwise(cuts)]
    fresh_items = ~item_rows.has_records & (np.bincount(epc, minlength=len(item_rows.lot)) > 0)
    return News(records, appends, epc, item_rows, _grow(items, fresh_items), sighting)


def _grow(items: NamedItems, fresh: NDArray[np.bool_]) -> list[int]:
    """Return what the items that are ``fresh`` [U] add to each count."""
    grow = np.zeros(len(items.count_keys), dtype=np.int64)
    for index in items.count_of.values():
        np.add.at(grow, index[fresh & items.parts.well_formed], 1)
    grow[0] = fresh.sum()
    return grow.tolist()
