"""What is known now of events that were judged before: the whole journeys of their items, and of others around them.

Nothing is stored by that, and nobody's answer changes: it is a look back, for whoever wants to judge events again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from service.events.columns import Events
from service.events.groups import Index
from service.events.hash_table import mix
from service.history.index import HistoryIndex
from service.history.items import EVENT, EVENT_COLUMNS, ITEM, NamedItems, item_hash
from service.history.ledger import Ledger
from service.history.plan import merged

AROUND = 10_000
"""Records of the lots of the events that are looked at, the last ones; and as many of all lots, those that came last.

The ones are mates, the others traffic. A look back costs the same for one event as for a thousand.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Hindsight:
    """Events with all that is known of them now."""

    known: Events  # [K] each once
    asked: Index  # [A] where those asked for are


def look_back(events: Events, items: NamedItems, ledger: Ledger, index: HistoryIndex) -> Hindsight:
    """Return the ``events`` [A] of ``items`` among all that is known; they may be repeated, and need not be stored."""
    index.take_in()
    lot, key_of = ledger.lots(items), ledger.keys()
    told = index.around(np.unique(lot), AROUND)
    is_known = np.isin(told.lot, list(key_of))  # a log that began anew is there twice, its old records without a name
    records, lot_of = told.records[is_known], told.lot[is_known]
    of_record = mix(ITEM, lot_of, item_hash(records["header"], records["date"], records["serial"]))
    _, first, item = np.unique(
        np.concatenate([of_record, mix(ITEM, lot, items.item)]), return_index=True, return_inverse=True
    )
    codes = [
        events.epc_codes[at - len(records)] if at >= len(records) else _code(key_of[int(lot_of[at])], records[at])
        for at in first.tolist()
    ]
    named = replace(events, epc=item[len(records) :][events.epc].astype(np.int32))
    every = merged(records, item[: len(records)], named, np.arange(len(events)), codes)
    keys = mix(EVENT, every.epc, *(getattr(every, name) for name in EVENT_COLUMNS))
    _, once, place = np.unique(keys, return_index=True, return_inverse=True)
    return Hindsight(every.take(once), place[len(records) :])


def _code(log_key: bytes, record: np.void) -> str:
    """Return the code of a record, as the name of its log and its parts tell it; one as malformed as it was."""
    name = log_key.decode(errors="surrogatepass")
    if name[:1] in "?#":
        return name[1:]
    return f"{record['header']:03d}.{name}.{record['date']:08d}.{record['serial']:09d}"
