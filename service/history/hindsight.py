"""What is known now of events that were judged before: the whole journeys of their items, of mates and of traffic.

Nothing is stored by that, and nobody's answer changes: it is a look back, for whoever wants to judge events again. Lots
are looked at whole or not at all, for a journey that begins in the middle, or a lot of half its items, looks forged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from service.events.columns import Events
from service.events.foreign import MARK, ForeignParts
from service.events.groups import Index
from service.events.hash_table import mix
from service.events.journeys import Journeys
from service.features.case import Case, join
from service.features.reference import Reference
from service.history.index import HistoryIndex
from service.history.items import EVENT, EVENT_COLUMNS, ITEM, NamedItems, item_hash
from service.history.ledger import Ledger
from service.history.plan import merged

AROUND = 10_000
"""Records that are looked at together: of the lots of the events, and of others, which are traffic, as far as they fit.

One lot is looked at whatever its size, and more of them than that one after the other: 4 us and 0.5 KB per record.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Hindsight:
    """Those of A events whose lots fit into one look, with all that is known of them now."""

    known: Events  # [K] each once
    taken: Index  # [n] which of the events
    place: Index  # [n] where they are in ``known``

    def seen(self, reference: Reference) -> Seen:
        """Return the journeys of their items with retrospective features."""
        case = Case.of(self.known, reference, causal=False)
        features = np.empty_like(case.features)
        features[case.journeys.order] = case.features
        is_asked = np.zeros(len(self.known.epc_codes), dtype=np.bool_)
        is_asked[self.known.epc[self.place]] = True
        kept = np.flatnonzero(is_asked[self.known.epc])
        return Seen(self.known.take(kept), features[kept], self.taken, np.searchsorted(kept, self.place))


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """K events of the items asked for with their features [K, F]: the mates have done their part."""

    events: Events
    features: NDArray[np.float32]
    taken: Index  # [n] which of the events asked for
    place: Index  # [n] where they are


def look_back(events: Events, items: NamedItems, ledger: Ledger, index: HistoryIndex) -> Hindsight:
    """Return the first of ``events``, of ``items``, among all that is known of their lots.

    Events may be repeated, and need not be stored.
    """
    index.take_in()
    lot, key_of = ledger.lots(items), ledger.keys()
    lots = ledger.fitting(lot[events.epc].tolist(), AROUND)
    taken = np.flatnonzero(np.isin(lot, lots)[events.epc])
    told = index.whole(ledger.filled(lots, AROUND))
    records = told.records
    of_record = mix(ITEM, told.lot, item_hash(records["header"], records["date"], records["serial"]))
    _, first, item = np.unique(
        np.concatenate([of_record, mix(ITEM, lot, items.item)]), return_index=True, return_inverse=True
    )
    codes = [
        _code(key_of[int(told.lot[at])], records[at]) if at < len(records) else events.epc_codes[at - len(records)]
        for at in first.tolist()
    ]
    named = replace(events, epc=item[len(records) :][events.epc].astype(np.int32))
    every = merged(records, item[: len(records)], named, taken, codes)
    keys = mix(EVENT, every.epc, *(getattr(every, name) for name in EVENT_COLUMNS))
    _, once, place = np.unique(keys, return_index=True, return_inverse=True)
    return Hindsight(every.take(once), taken, place[len(records) :])


def case_of(parts: Sequence[Seen], asked: int) -> Case:
    """Return the case of all ``asked`` events, each seen in one of the parts."""
    events, _ = join([part.events for part in parts])
    journeys = Journeys.of(events)
    row_of, place, first = np.empty(len(events), dtype=np.intp), np.empty(asked, dtype=np.intp), 0
    row_of[journeys.order] = np.arange(len(events))
    for part in parts:
        place[part.taken] = first + part.place
        first += len(part.events)
    return Case(journeys, np.concatenate([part.features for part in parts])[journeys.order], row_of[place])


def _code(log_key: bytes, record: np.void) -> str:
    """Return the code of a record, as the name of its log and its parts tell it; one as malformed as it was."""
    name = log_key.decode(errors="surrogatepass")
    if name[:1] in "?#":
        return name[1:]
    if name[:1] == MARK:
        company, product, lot = map(int, name[1:].split("."))
        parts = (int(record[part]) for part in ("date", "serial"))
        return ForeignParts(int(record["header"]), company, product, lot, *parts).text()
    return f"{record['header']:03d}.{name}.{record['date']:08d}.{record['serial']:09d}"
