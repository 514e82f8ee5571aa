"""Who is whose mate: the numbers of the groups that codes and scans belong to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.events.groups import Groups
from service.events.vocabulary import TYPES
from service.features.mate_groups import GROUPS, SHIPMENT_US, WITHIN
from service.features.shared import Trail


def item_groups(trail: Trail) -> dict[str, Groups]:
    """Return each of ITEM_GROUPS of U codes."""
    parts, scope = trail.parts, trail.scope
    everybody = Groups(scope, np.zeros(len(scope), dtype=np.int64))
    mates = Groups(scope, np.where(parts.well_formed, -1, np.arange(len(scope)))).number
    number = Groups(mates, parts.lot)
    product = Groups(Groups(mates, parts.company).number, parts.product)
    lot = Groups(product.number, parts.lot)
    return {
        "all": everybody,
        "number": number,
        "number_product": Groups(number.number, parts.product),
        "product": product,
        "lot": lot,
        "day": Groups(lot.number, parts.day),
    }


def mate_groups(trail: Trail, lot: NDArray[np.int32]) -> list[Groups]:
    """Return the groups of each kind of GROUPS of N events, for the number of the ``lot`` [U] of each code."""
    events, legs = trail.events, trail.legs
    parts = {
        "here": trail.spot.astype(np.int64) * TYPES + trail.kind,
        "type": trail.kind.astype(np.int64),
        "left": np.where(legs.kind >= 0, trail.spot_from.astype(np.int64) * TYPES + legs.kind + 1, 0),
        "departure": legs.time_us // SHIPMENT_US,
    }
    of_lot, found = lot[events.epc], []
    for group, within in zip(GROUPS, WITHIN, strict=True):
        found.append(Groups(of_lot if within < 0 else found[within].number, parts[group.part]))
    return found
