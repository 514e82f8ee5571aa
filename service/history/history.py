"""Events against the history: what is new is judged once and stored with what it was judged by.

Equal answers however events are cut (between seconds) or repeated: an event's score depends on its features and on
those of the item's earlier events, and both are in the records from the moment the event counts as stored. A repeated
event is judged again from the records that stood there when it came first.
"""

from __future__ import annotations

import asyncio
import copy
import secrets
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from service.errors import HistoryUnavailable
from service.events.columns import Events
from service.features.case import Case, View
from service.features.reference import Reference
from service.history.generations import Generations
from service.history.hindsight import Hindsight, Seen, case_of, look_back
from service.history.index import HistoryIndex
from service.history.items import NamedItems
from service.history.ledger import Ledger
from service.history.plan import SHORT_JOURNEY, Remembered, plan
from service.history.store import Reply, Store
from service.runtime import threads

STREAM_EVENTS = 10_000
"""Events of its own that a stream remembers where the gateway keeps no history: 4 MB at most."""

_ATTEMPTS, _PATIENCE = 10, 2
"""Exchanges per request at most, and those lost to other gateways after which this one claims its turn."""


@dataclass(frozen=True, slots=True, eq=False)
class Recalled:
    """The events of a request with what the history knows of them."""

    view: View
    warning: str  # what the caller should know of that, "" for nothing
    unavailable: bool = False  # the history is: the view is that of the request


class Memory:
    """The history of one gateway; requests take turns, because each may change what the next one knows."""

    def __init__(self, store: Store, reference: Reference, *, max_events: int) -> None:
        """Args: ``max_events`` that are kept in memory, beside those of the lots that the last requests needed."""
        self._store = store
        self._reference = reference
        self._name = secrets.token_bytes(8)
        self._ledger, self._generations = Ledger(), Generations(max_events)
        self._turn = asyncio.Lock()
        self._alone = True  # no other gateway seems to write: there is no need to read before each commit

    def read_by(self, reference: Reference) -> Memory:
        """Return the same history, read by other tables: store, ledger, index and turn are shared."""
        other = copy.copy(self)
        other._reference = reference
        return other

    def __len__(self) -> int:
        return len(self._generations)

    async def recall(self, view: View) -> Recalled:
        """Return the view with all that is known of its journeys, and what the caller should know of that."""
        try:
            remembered = await self.remember(view.events)
        except HistoryUnavailable as error:
            return _without(view, error)
        if view.causal:
            return Recalled(replace(view, given=remembered.case), _warning(remembered))
        everything = remembered.everything()
        asked = np.arange(len(everything) - len(view), len(everything))
        work = partial(Case.of, everything, self._reference, causal=False, asked=asked)
        case = await threads.run(threads.ALWAYS_OFF, work, len(everything))
        return Recalled(replace(view, given=case), _warning(replace(remembered, late=0)))

    async def look_back(self, view: View) -> Recalled:
        """Return the view of events that were judged before, with all that is known of their items and mates by now.

        Its events need not be different, nor be stored; nothing is stored.
        """
        parts: list[Seen] = []
        left = np.arange(len(view))
        try:
            while len(left):  # lots that are too large to be looked at together come one after the other
                hindsight = await self._look_back(view.events.take(left))
                seen = await threads.run(
                    threads.ALWAYS_OFF, partial(hindsight.seen, self._reference), len(hindsight.known)
                )
                parts.append(replace(seen, taken=left[seen.taken]))
                left = np.delete(left, seen.taken)
        except HistoryUnavailable as error:
            return _without(view, error)
        case = await threads.run(threads.FEATURES, partial(case_of, parts, len(view)), len(view))
        return Recalled(replace(view, given=case), "")

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

    async def _look_back(self, events: Events) -> Hindsight:
        items = await threads.run(threads.WINDOWS, partial(NamedItems.of, events.epc_codes), len(events))
        async with self._turn:
            index = await self._index_of(items)
            reply = await self._store.exchange(self._ledger.to_read(items))
            self._alone &= not self._ledger.is_news(reply)
            self._learn(items, reply)
            work = partial(look_back, events, items, self._ledger, index)
            return await threads.run(threads.ALWAYS_OFF, work, len(events))

    async def _index_of(self, items: NamedItems) -> HistoryIndex:
        """Return the index, made ready for the items."""
        used = self._ledger.use(items)
        if not self._generations.is_ready(used):
            work = partial(self._generations.make_ready, used, self._ledger)
            await threads.run(threads.ALWAYS_OFF, work, len(items.log_of))
        return self._generations.index

    async def _remember(self, events: Events) -> Remembered:
        """Go through the steps of `service.history.ledger`."""
        items = await threads.run(threads.WINDOWS, partial(NamedItems.of, events.epc_codes), len(events))
        async with self._turn:
            ledger, index = self._ledger, await self._index_of(items)
            if not self._alone or ledger.must_read(items):
                reply = await self._store.exchange(ledger.to_read(items))
                self._alone = not ledger.is_news(reply)
                self._learn(items, reply)
            expected: list[int] | None = ledger.expect(items)
            for attempt in range(_ATTEMPTS):
                work = partial(plan, events, items, ledger, index, self._reference)
                remembered, news = await threads.run(threads.ALWAYS_OFF, work, len(events))
                if news is None:
                    if await self._is_still_stored(items):
                        return remembered
                    continue
                claim = attempt >= _PATIENCE
                offer = ledger.to_commit(
                    items, news.appends, news.grow, expected=expected, gateway=self._name, claim=claim
                )
                reply = await self._store.exchange(offer)
                if reply.committed:
                    ledger.committed(items, offer, reply)
                    index.queue(news)
                    return remembered
                self._alone = False
                self._learn(items, reply)
                expected = None  # what was read just now is recent enough: other lots may go on meanwhile
        raise HistoryUnavailable("other gateways kept writing to the same lots")

    async def _is_still_stored(self, items: NamedItems) -> bool:
        """Return whether the store has what the index has; an answer given once stands while nobody can say."""
        try:
            reply = await self._store.exchange(self._ledger.to_read(items))
        except HistoryUnavailable:
            return True
        self._learn(items, reply)
        return not reply.tails

    def _learn(self, items: NamedItems, reply: Reply) -> None:
        self._generations.index.queue(self._ledger.learn(items, reply))


def _without(view: View, error: HistoryUnavailable) -> Recalled:
    warning = f"The history is unavailable ({error}): judged from the events of this request alone."
    return Recalled(view, warning, unavailable=True)


def _warning(remembered: Remembered) -> str:
    """Return what the caller should know of events that came late, or with the id of others."""
    late, reused, short = remembered.late, remembered.reused, remembered.short
    warnings = []
    if late:
        warnings.append(
            f"{late} of these events came after later events of their items: judged in their place in time;"
            " the answers given for the later ones stand, unless they settle."
        )
    if reused:
        warnings.append(
            f"{reused} of these events have an event_id that another event of their item had before: taken for new"
            " ones, as time, place, type or step differ."
        )
    if short:
        warnings.append(
            f"{short} of these events were sent again, of items with very many events in disorder: judged from the last"
            f" {SHORT_JOURNEY} events up to each, so their scores may differ from those given first."
        )
    return " ".join(warnings)
