"""Which products go to a place that has just opened? Until it has shown that, no product is a stranger there.

Tables with the few lots that a new place has had so far know the place, and every other product that comes there is at
the wrong place by them: a `locErr` that nobody would find where the place is unknown.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from service.events.codes import parse
from service.events.columns import Events
from service.events.vocabulary import TYPES, type_index
from service.features.keys import product_lot_key, product_type_key, scan_key
from service.features.reference import Counts, Reference

LEAST_SEEN = 5
"""Times from which on a new scan counts: of anomalies that nothing finds some teach what is normal, once or twice."""

_TELLING_LOTS = 5.0
"""Of a product that would have come if it went there as the others do: that none did says something."""


def opened(tables: Reference, before: Reference) -> NDArray[np.int64]:
    """Return the keys [n] of the scans that ``tables`` have and ``before`` lacks; both are of the same places."""
    return np.setdiff1d(tables.scan.key[tables.scan.count >= LEAST_SEEN], before.scan.key)


def welcomed(tables: Reference, scans: NDArray[np.int64], events: Events) -> Reference:
    """Return ``tables`` in which products count as seen at new ``scans`` [n] as often as all products are.

    That is by the share that a place has had of the scans of its type since its first one, and for the products of
    which fewer than _TELLING_LOTS would have come by now. Nothing that was seen counts less.

    Args:
        tables: what was learned.
        scans: keys of scans that only ``events`` show: `opened`.
        events: the new events that teach.
    """
    parts = parse(events.epc_codes)
    kind = type_index(events.event_type)
    scan = scan_key(tables.place_of(events.location_id), kind)
    product, lot = parts.product[events.epc], product_lot_key(parts.product, parts.lot)[events.epc]
    seen = [tables.product_scan]
    for key in scans.tolist():
        here = scan == key
        since = (kind == key % TYPES) & (events.time_us >= events.time_us[here].min())
        share = np.count_nonzero(here) / np.count_nonzero(since)
        _, of_lot = np.unique(lot[since], return_index=True)
        seen.append(_as_all(tables, key, share, product[since][of_lot]))
    return replace(tables, product_scan=_most(seen))


def _as_all(tables: Reference, scan: int, share: float, lots: NDArray[np.int64]) -> Counts:
    """Return how often each product would be seen at a ``scan`` that has a ``share`` of those of its type.

    ``lots`` [n] has the product of each lot since it opened; a product with enough of them to tell is left out.
    """
    products = np.unique(tables.product_type.key // TYPES) - 1
    row = tables.product_type.find(product_type_key(products, np.full(len(products), scan % TYPES)))
    count = np.append(tables.product_type.count, 0.0)[row]
    came = np.count_nonzero(lots == products[:, None], axis=1)
    few = (share * came < _TELLING_LOTS) & (count > 0)
    return Counts(tables.product_scan_key(products[few], np.full(few.sum(), scan)), share * count[few])


def _most(tables: list[Counts]) -> Counts:
    """Return the keys of all tables, each with its highest count."""
    key, row = np.unique(np.concatenate([one.key for one in tables]), return_inverse=True)
    count = np.zeros(len(key))
    np.maximum.at(count, row, np.concatenate([one.count for one in tables]))
    return Counts(key, count)
