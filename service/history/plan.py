"""What a request adds to a history, worked out without asking the store: what is known of its items, and its news."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from service.events.columns import Events
from service.events.groups import Index, members_of
from service.events.hash_table import mix
from service.events.vocabulary import type_index
from service.features import table as features
from service.features.case import Case
from service.features.past import JudgedBefore, Past
from service.features.reference import Reference
from service.features.running_groups import Sighting
from service.history.index import HistoryIndex, ItemRows, News, legs
from service.history.items import EVENT, NamedItems, product_number
from service.history.ledger import Ledger
from service.history.store import RECORD

EARLIER_EVENTS = 64
"""Earlier events of an item that are read: journeys have 5 events in the mean and 10 at most, if nothing is wrong."""

SHORT_JOURNEY, _ALONE = 10, 20_000
"""Events of the journey that each repeated event has a right to, where it needs one of its own; and events that such
journeys of one request may have beside those. The work is in proportion to the request, and no normal journey is cut.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Remembered:
    """The events of a request, now stored, and what is known of their items."""

    events: Events
    stored: Stored
    case: Case  # causal
    late: int  # events of the request that came after later ones of their item
    reused: int  # events of the request with the id that another event of their item had before
    short: int  # repeated events of the request that were judged from less than was known when they came first

    def everything(self) -> Events:
        """Return the stored events of the same items that the request does not have, and then those of the request."""
        events, stored = self.events, self.stored
        unasked = np.setdiff1d(np.arange(len(stored.epc)), stored.found)
        return merged(stored.records[unasked], stored.epc[unasked], events, np.arange(len(events)), events.epc_codes)


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """K stored events of the items of a request, item by item, each as they came."""

    records: NDArray[np.void]  # [K]
    epc: Index  # [K] index into the request's codes
    found: Index  # [A] the record of each event of the request, -1 if it is not among them

    record: Index  # [A] its number in the index, -1 if it is new
    alone: NDArray[
        np.bool_
    ]  # [A] a repeated event that is judged from the records up to its own, apart from the item's
    near: NDArray[np.bool_]  # [A] a repeated event of an item whose records are all here
    late: NDArray[np.bool_]  # [A] such an event that came after later ones

    @classmethod
    def of(cls, events: Events, rows: ItemRows, index: HistoryIndex) -> Stored:
        found = index.find(rows, events, EARLIER_EVENTS)
        records, repeated, near = index.take(found.numbers), found.record >= 0, ~found.is_far & (found.place >= 0)
        alone, late = repeated & ~near, np.zeros(len(events), dtype=np.bool_)
        if near.any():
            overtaken, behind = _disorder(records, found.epc, events, np.flatnonzero(~repeated))
            alone[near], late[near] = overtaken[found.place[near]], behind[found.place[near]]
        return cls(records, found.epc, found.place, found.record, alone, near, late)

    def reused(self, events: Events) -> int:
        """Return how many ``events`` have the id of a record of their item that came before them."""
        of_record = mix(EVENT, self.epc, self.records["event_id"])
        of_event = mix(EVENT, events.epc, events.event_id)
        order = np.argsort(of_record, kind="stable")
        place = np.minimum(np.searchsorted(of_record[order], of_event), len(order) - 1)
        first = order[place]
        return int(((of_record[first] == of_event) & (first != self.found)).sum())


def _disorder(
    records: NDArray[np.void], epc: Index, events: Events, new: Index
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return whether each of the ``records`` [K] was overtaken by an earlier event that came later, and who did so.

    What was not overtaken has the same past now that it had when it came. The ``new`` ones of the events come last.
    """
    epc = np.concatenate([epc, events.epc[new]])
    by_item = np.argsort(epc, kind="stable")  # as they came
    time_us = np.concatenate([records["time_us"], events.time_us[new]])[by_item]
    event_id = np.concatenate([records["event_id"], events.event_id[new]])[by_item]
    rank = np.empty(len(epc), dtype=np.intp)
    rank[np.lexsort((event_id, time_us, epc[by_item]))] = np.arange(len(epc))
    lowest, highest = np.minimum.accumulate(rank[::-1])[::-1], np.maximum.accumulate(rank)
    overtaken, behind = np.zeros((2, len(epc)), dtype=np.bool_)
    overtaken[by_item[:-1]] = lowest[1:] < rank[:-1]
    behind[by_item[1:]] = highest[:-1] > rank[1:]
    return overtaken[: len(records)], behind[: len(records)]


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
        product=product_number(items.parts, rows.lot),
        item=items.item,
        seen_before=rows.has_records,
        items=_items_before(items, rows, ledger.counts(items)),
        groups=index.groups,
    )
    together, asked, late, reused, short = events, None, 0, 0, 0
    if len(stored.epc):
        together, asked, past, short = _among_stored(events, stored, past, index)
        reused = stored.reused(events)
    case = Case.after(past, together, reference, asked)
    if past.judged_before is not None:
        in_case = _late(case, past.judged_before.stored, len(events.epc_codes))
        late = int(np.where(stored.near, stored.late, in_case).sum())
    remembered = Remembered(events, stored, case, late, reused, short)
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


def _among_stored(events: Events, stored: Stored, past: Past, index: HistoryIndex) -> tuple[Events, Index, Past, int]:
    """Return (the events after the stored ones of their items, [A] where each event is, the past with those, ..).

    A repeated event that was overtaken since gets a journey of its own, that of its first time: the last records up to
    its own. Last comes how many such journeys are shorter than they might be.
    """
    codes, new, alone = len(events.epc_codes), np.flatnonzero(stored.record < 0), np.flatnonzero(stored.alone)
    numbers, owner = index.before(stored.record[alone], EARLIER_EVENTS + 1)
    size, short = np.bincount(owner, minlength=len(alone)), 0
    if len(numbers) > _ALONE + SHORT_JOURNEY * len(events):
        kept = np.cumsum(size)[owner] - np.arange(len(owner)) <= SHORT_JOURNEY
        numbers, owner, short = numbers[kept], owner[kept], int((size > SHORT_JOURNEY).sum())
        size = np.minimum(size, SHORT_JOURNEY)
    before = np.concatenate([stored.records, index.take(numbers)])
    asked = stored.found.copy()
    asked[new] = len(before) + np.arange(len(new))
    asked[alone] = len(stored.records) + np.cumsum(size) - 1
    epc_codes = [*events.epc_codes, *(events.epc_codes[code] for code in events.epc[alone].tolist())]
    together = merged(before, np.concatenate([stored.epc, codes + owner]), events, new, epc_codes)
    records = np.concatenate([before, np.zeros(len(new), dtype=RECORD)])
    is_stored = np.arange(len(records)) < len(before)
    judged_before = JudgedBefore(is_stored, legs(records), records["elsewhere_gap"], records["companions"])
    if len(alone):
        past = past.repeated(events.epc[alone])
    return together, asked, replace(past, judged_before=judged_before), short


def merged(records: NDArray[np.void], epc: Index, events: Events, rows: Index, epc_codes: Sequence[str]) -> Events:
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


def _late(case: Case, stored: NDArray[np.bool_], codes: int) -> NDArray[np.bool_]:
    """Return whether [A] the new events and those with journeys of their own, past ``codes``, came after later ones."""
    journeys = case.journeys
    at = np.arange(len(journeys.order))
    is_stored = stored[journeys.order]
    last_known = journeys.spread(np.maximum.reduceat(np.where(is_stored, at, -1), journeys.start))
    last = journeys.spread(journeys.start + journeys.length - 1)
    late = np.where(is_stored, (journeys.events.epc >= codes) & (at < last), last_known > at)
    return late[case.rows]


def _news(case: Case, sighting: Sighting, past: Past, items: NamedItems, item_rows: ItemRows) -> News:
    """Return what the fresh events of a case, those sighted, add, log by log, each in the order of time."""
    journeys, events = case.journeys, case.journeys.events
    rows = journeys.by_time
    if past.judged_before is not None:
        rows = rows[~past.judged_before.stored[journeys.order[rows]]]
    log = items.log_of[events.epc[rows]].astype(np.int32)
    order, _ = members_of(log, len(items.log_keys), np.arange(len(rows)))
    rows, log = rows[order], log[order]
    epc, (before, has_before) = events.epc[rows], journeys.previous()
    there, has_before = before[rows], has_before[rows]
    records = np.zeros(len(rows), dtype=RECORD)
    for name in ("event_id", "time_us", "location_id", "event_type", "step"):
        records[name] = getattr(events, name)[rows]
    for name in ("header", "date", "serial"):
        records[name] = getattr(items.parts, name)[epc]
    records["product"] = past.product[epc]
    records["clock_s"] = sighting.scans.clock_us[rows] // 1_000_000
    records["area"] = sighting.scans.area[rows]
    for name in ("lane_gap_ratio", "elsewhere_gap"):
        records[name] = case.features[rows, features.INDEX[name]]
    records["time_before_us"] = events.time_us[np.where(has_before, there, rows)]
    records["location_before"] = np.where(has_before, events.location_id[there], 0)
    records["kind_before"] = np.where(has_before, type_index(events.event_type[there]), -1)
    records["commit"] = np.void(secrets.token_bytes(records["commit"].itemsize))
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
