"""Events against the history: what is new is judged once and stored with what it was judged by.

Equal answers however events are cut, repeated or spread: an event's score depends on its features and on those of the
item's earlier events, and both are in the records from the moment the event counts as stored. A repeated event is
judged again from the records that stood there when it came first.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from service import features
from service.errors import HistoryUnavailable
from service.events import Events
from service.history import RECORD, Exchange, Store
from service.history_groups import Past, Sighting
from service.history_index import HistoryIndex, Items, legs
from service.journeys import Index
from service.reference import TYPES, Reference
from service.view import Case, View

CONTEXT_EVENTS = 64
"""Earlier events of an item that are read: journeys have 5 events in the mean and 10 at most, if nothing is wrong."""

STREAM_EVENTS = 10_000
"""Events of its own that a stream remembers where the gateway keeps no history: 4 MB at most."""

_INLINE = 512
"""Events whose codes are taken apart on the event loop: 1 us each, and a thread costs 100."""

_ATTEMPTS, _PATIENCE = 10, 2
"""Exchanges per request at most, and those lost to other gateways after which this one claims its turn."""


@dataclass(frozen=True, slots=True, eq=False)
class Remembered:
    """The events of a request, now stored, and what is known of their items."""

    events: Events
    known: _Known
    case: Case  # causal
    late: int  # events of the request that came after later ones of their item

    def everything(self) -> Events:
        """Return the stored events of the same items that the request does not have, and then those of the request."""
        events, known = self.events, self.known
        unasked = np.setdiff1d(np.arange(len(known.epc)), known.found)
        return _together(known.records[unasked], known.epc[unasked], events, np.arange(len(events)), events.epc_codes)


class Memory:
    """The history of one gateway; requests take turns, because each may change what the next one knows."""

    def __init__(self, store: Store, reference: Reference, *, max_events: int) -> None:
        """Args: ``max_events`` is the size of the index past which it begins anew."""
        self._store = store
        self._reference = reference
        self._max_events = max_events
        self._name = secrets.token_bytes(8)
        self._index = HistoryIndex()
        self._turn = asyncio.Lock()
        self._alone = True  # no other gateway seems to write: there is no need to read before each commit

    def __len__(self) -> int:
        return len(self._index)

    async def recall(self, view: View) -> tuple[View, str]:
        """Return the view with all that is known of its journeys, and what the caller should know of that."""
        try:
            remembered = await self.remember(view.events)
        except HistoryUnavailable as error:
            return view, f"The history is unavailable ({error}): judged from the events of this request alone."
        late = remembered.late and (
            f"{remembered.late} of these events came after later events of their items: judged in their place in time;"
            " the answers given for the later ones stand."
        )
        if view.causal:
            return View(view.events, causal=True, known=remembered.case), late or ""
        everything = remembered.everything()
        asked = np.arange(len(everything) - len(view), len(everything))
        case = await asyncio.to_thread(Case.of, everything, self._reference, causal=False, asked=asked)
        return View(view.events, causal=False, known=case), ""

    async def close(self) -> None:
        """Let the store's connections go."""
        await self._store.close()

    async def remember(self, events: Events) -> Remembered:
        """Store the events that are new, and return all of them with what is known of their items.

        A caller who leaves does not stop this: what was begun is stored, and a retry gets its answer.

        Raises:
            HistoryUnavailable: the store cannot be used now; nothing is known.
        """
        work = asyncio.create_task(self._remember(events))
        work.add_done_callback(lambda done: done.cancelled() or done.exception())  # of a caller who left
        return await asyncio.shield(work)

    async def _remember(self, events: Events) -> Remembered:
        items = (
            Items.of(events.epc_codes)
            if len(events) <= _INLINE
            else await asyncio.to_thread(Items.of, events.epc_codes)
        )
        async with self._turn:
            if len(self._index) > self._max_events:
                self._index = HistoryIndex()
            index = self._index
            if not self._alone or index.doubts(items):
                reply = await self._store.exchange(Exchange(index.logs(items), items.count_keys))
                self._alone = index.knew(reply)
                index.learn(items, reply)
            expected: list[int] | None = index.expect(items)
            for attempt in range(_ATTEMPTS):
                plan = await asyncio.to_thread(_plan, events, items, index, self._reference)
                if not plan.appends:
                    if await self._is_still_stored(items):
                        return plan.remembered
                    continue
                logs = index.logs(items, plan.appends)
                claim = attempt >= _PATIENCE
                reply = await self._store.exchange(
                    Exchange(logs, items.count_keys, plan.grow, expected, self._name, claim)
                )
                if reply.committed:
                    index.committed(items, logs, reply, plan.grow, plan.sighting)
                    return plan.remembered
                self._alone = False
                index.learn(items, reply)
                expected = None  # what was read just now is recent enough: other lots may go on meanwhile
        raise HistoryUnavailable("other gateways kept writing to the same lots")

    async def _is_still_stored(self, items: Items) -> bool:
        """Return whether the store has what the index has; an answer given once stands while nobody can say."""
        try:
            reply = await self._store.exchange(Exchange(self._index.logs(items), items.count_keys))
        except HistoryUnavailable:
            return True
        self._index.learn(items, reply)
        return not reply.tails


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    remembered: Remembered
    appends: list[bytes]  # [L] records for each log; no entry at all if no event is new
    grow: list[int]  # [C] new items by count
    sighting: Sighting  # of the new events, log by log


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    """K stored events of the items of a request, item by item, each as they came."""

    records: NDArray[np.void]  # [K]
    epc: Index  # [K] index into the request's codes
    found: Index  # [A] the record of each event of the request, -1 if it is new

    @classmethod
    def of(cls, events: Events, items: Items, lot: NDArray[np.int64], index: HistoryIndex) -> _Known:
        rows, epc, found = index.find(items, lot, events, CONTEXT_EVENTS)
        return cls(index.take(rows), epc, found)

    def disordered(self) -> NDArray[np.bool_]:
        """Return whether [K] the item of each record has one that came after a later one."""
        time_us, event_id, same = self.records["time_us"], self.records["event_id"], self.epc[1:] == self.epc[:-1]
        back = (time_us[1:] < time_us[:-1]) | ((time_us[1:] == time_us[:-1]) & (event_id[1:] < event_id[:-1]))
        return np.isin(self.epc, self.epc[1:][same & back])


def _plan(events: Events, items: Items, index: HistoryIndex, reference: Reference) -> _Plan:
    """Return what is known of the events, and what there is to store.

    A repeated event of an item whose events came in disorder gets a journey of its own, that of its first time.
    """
    lot = index.lots(items)
    known = _Known.of(events, items, lot, index)
    codes, new = len(events.epc_codes), np.flatnonzero(known.found < 0)
    again = np.flatnonzero((known.found >= 0) & np.append(known.disordered(), False)[known.found])
    then = [
        np.flatnonzero((known.epc == events.epc[at]) & (np.arange(len(known.epc)) <= known.found[at])) for at in again
    ]
    context = np.concatenate([np.arange(len(known.epc)), *then])
    owner = np.concatenate([known.epc, np.repeat(codes + np.arange(len(then)), [len(rows) for rows in then])])
    asked = known.found.copy()
    asked[new] = len(context) + np.arange(len(new))
    asked[again] = len(known.epc) + np.cumsum([len(rows) for rows in then], dtype=np.intp) - 1
    code_of = np.concatenate([np.arange(codes), events.epc[again]])
    epc_codes = [events.epc_codes[code] for code in code_of.tolist()]
    together = _together(known.records[context], owner, events, new, epc_codes)
    is_known = np.bincount(known.epc, minlength=codes) > 0
    counts = index.count(items, lot, is_known)
    records = np.concatenate([known.records[context], np.zeros(len(new), dtype=RECORD)])
    past = Past(
        fresh=np.arange(len(context) + len(new)) >= len(context),
        legs=legs(records),
        companions=records["companions"],
        parts=items.parts.take(code_of) if len(again) else items.parts,
        lot=lot[code_of],
        item=items.item[code_of],
        known=is_known[code_of],
        items={name: count[code_of] for name, count in counts.items()},
        groups=index.groups,
    )
    case = Case.of(together, reference, causal=True, asked=asked, past=past)
    remembered = Remembered(events, known, case, _late(case, past.fresh, codes))
    if not len(new):
        return _Plan(remembered, [], [], past.sighting)
    fresh_items = ~is_known & (np.bincount(events.epc[new], minlength=codes) > 0)
    appends, order = _appends(case, past.fresh, items)
    return _Plan(remembered, appends, _grow(items, fresh_items), past.sighting.take(order))


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


def _late(case: Case, fresh: NDArray[np.bool_], codes: int) -> int:
    """Return how many asked events came after later ones of their item; journeys past ``codes`` are of such items."""
    journeys = case.journeys
    at = np.arange(len(journeys.order))
    is_fresh = fresh[journeys.order]
    last_known = journeys.spread(np.maximum.reduceat(np.where(is_fresh, -1, at), journeys.start))
    last = journeys.spread(journeys.start + journeys.length - 1)
    late = np.where(is_fresh, last_known > at, (journeys.events.epc >= codes) & (at < last))
    return int(late[case.rows].sum())


def _appends(case: Case, fresh: NDArray[np.bool_], items: Items) -> tuple[list[bytes], Index]:
    """Return the records of the n fresh events, log by log, each in the order of time, and that order [n]."""
    journeys, events = case.journeys, case.journeys.events
    rows = np.flatnonzero(fresh[journeys.order])
    log = items.log_of[events.epc[rows]]
    order = np.lexsort((journeys.rank[rows], log))
    rows, log = rows[order], log[order]
    epc, (before, has_before) = events.epc[rows], journeys.previous()
    there, has_before = before[rows], has_before[rows]
    records = np.zeros(len(rows), dtype=RECORD)
    for name in ("event_id", "time_us", "location_id", "event_type", "step"):
        records[name] = getattr(events, name)[rows]
    for name in ("header", "date", "serial"):
        records[name] = getattr(items.parts, name)[epc]
    records["time_before_us"] = events.time_us[np.where(has_before, there, rows)]
    records["location_before"] = np.where(has_before, events.location_id[there], 0)
    records["kind_before"] = np.where(has_before, events.event_type[there].astype(np.int64) % TYPES, -1)
    records["companions"] = case.features[rows, features.COMPANIONS]
    cuts = np.searchsorted(log, np.arange(len(items.log_keys) + 1)).tolist()
    return [records[begin:end].tobytes() for begin, end in pairwise(cuts)], order


def _grow(items: Items, fresh: NDArray[np.bool_]) -> list[int]:
    """Return what the items that are ``fresh`` [U] add to each count."""
    grow = np.zeros(len(items.count_keys), dtype=np.int64)
    for index in items.count_of.values():
        np.add.at(grow, index[fresh & items.parts.well_formed], 1)
    grow[0] = fresh.sum()
    return grow.tolist()
