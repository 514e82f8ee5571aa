"""All faults that are planted, and events with some of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.events.columns import Events
from service.events.vocabulary import KINDS
from service.features.reference import Reference
from training.adoption.planting import clones, codes, order, places, times
from training.adoption.planting.bed import Bed, Planted


class Fault(NamedTuple):
    """One way in which an anomaly shows."""

    name: str
    kind: str
    plant: Callable[[Bed], None]


# As `training.simulation.anomalies.VARIANTS`: those with the fewest candidates first.
FAULTS = (
    Fault("resold", "epcDup", clones.resold),
    Fault("sold_twice", "epcDup", clones.sold_twice),
    Fault("sent_back", "locErr", places.sent_back),
    Fault("first_seen_downstream", "epcFake", codes.first_seen_downstream),
    Fault("lane_never_used", "locErr", places.lane_never_used),
    Fault("place_never_used", "locErr", places.place_never_used),
    Fault("straight_to_a_shop", "locErr", places.straight_to_a_shop),
    Fault("level_skipped", "locErr", places.level_skipped),
    Fault("two_places_at_once", "epcDup", clones.two_places_at_once),
    Fault("sold_while_upstream", "epcDup", clones.sold_while_upstream),
    Fault("clone_nearby", "epcDup", clones.clone_nearby),
    Fault("parallel_stay", "epcDup", clones.parallel_stay),
    Fault("fast_for_its_day", "jump", times.fast_for_its_day),
    Fault("stalled_for_weeks", "jump", times.stalled_for_weeks),
    Fault("stalled_behind_mates", "jump", times.stalled_behind_mates),
    Fault("teleport", "jump", times.teleport),
    Fault("below_minimum", "jump", times.below_minimum),
    Fault("slow_transit", "jump", times.slow_transit),
    Fault("out_before_in", "evtOrderErr", order.out_before_in),
    Fault("in_twice", "evtOrderErr", order.in_twice),
    Fault("out_twice", "evtOrderErr", order.out_twice),
    Fault("swapped_pair", "evtOrderErr", order.swapped_pair),
    Fault("clock_rolled_back", "evtOrderErr", order.clock_rolled_back),
    Fault("serial_never_shipped", "epcFake", codes.serial_never_shipped),
    Fault("malformed", "epcFake", codes.malformed),
    Fault("foreign_company", "epcFake", codes.foreign_company),
    Fault("unknown_product", "epcFake", codes.unknown_product),
    Fault("future_date", "epcFake", codes.future_date),
    Fault("early_date", "epcFake", codes.early_date),
    Fault("other_company", "epcFake", codes.other_company),
    Fault("lot_of_other_product", "epcFake", codes.lot_of_other_product),
    Fault("serial_outside", "epcFake", codes.serial_outside),
    Fault("serial_far_outside", "epcFake", codes.serial_far_outside),
)

_SHARE = 0.003
"""Of the items, those that get one fault: all together about 8 %, so that companions stay what they were."""

ITEMS = 200
"""Items of one fault at most: enough for a share to within 0.05."""


def items_of_each(epcs: int) -> int:
    """Return how many of the items get each fault at a time."""
    return max(1, min(ITEMS, round(_SHARE * epcs)))


def plant(events: Events, clean: NDArray[np.bool_], reference: Reference, rng: np.random.Generator) -> Planted:
    """Return the events with each fault in some of the ``clean`` [U] items, see `items_of_each`."""
    bed = Bed(events, clean, reference, rng, items_of_each(len(events.epc_codes)))
    for number, fault in enumerate(FAULTS):
        bed.kind, bed.fault = KINDS.index(fault.kind), number
        fault.plant(bed)
    return bed.finished()
