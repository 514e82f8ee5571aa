"""The five anomaly kinds, each in blatant and subtle variants, worked into a world of normal journeys.

A variant picks single items or teams of up to four neighbours of one shipment, never a whole shipment, edits their
scans and labels exactly the scans that are the evidence:

- epcFake: every scan of the forged code.
- epcDup: what comes after the conflict became visible, never the scans before it, so that a label is knowable when its
  scan happens as well as in hindsight. Of a conflicting pair the later scan; of two interleaved journeys, neither of
  which ends, all scans from the clone's first one on; of a clone sold early that sale and the next genuine scan.
- locErr: every scan at the wrong place.
- evtOrderErr: both scans of an exchanged pair; of a repeated inbound or outbound the repetition; of a clock that
  was rolled back the scan with the wrong time.
- jump: the scan that ends the impossible gap.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from service.events.vocabulary import KINDS
from training.simulation import clones, codes, order, places, times
from training.simulation.catalogue import Catalogue
from training.simulation.congestion import Congestion
from training.simulation.scans import Items, Scans
from training.simulation.workbench import Workbench


class Variant(NamedTuple):
    """One way in which an anomaly shows."""

    name: str
    kind: str
    difficulty: str
    work_in: Callable[[Workbench, float], None]  # (workbench, events to label)


# Within a kind the variants with the fewest candidates come first: what they cannot fill, the later ones do. Forged
# codes come before everything else, so that a forged item may suffer a second kind.
VARIANTS = (
    Variant("first_seen_downstream", "epcFake", "subtle", codes.first_seen_downstream),
    Variant("serial_never_shipped", "epcFake", "subtle", codes.serial_never_shipped),
    Variant("malformed", "epcFake", "blatant", codes.malformed),
    Variant("foreign_company", "epcFake", "blatant", codes.foreign_company),
    Variant("unknown_product", "epcFake", "blatant", codes.unknown_product),
    Variant("future_date", "epcFake", "blatant", codes.future_date),
    Variant("other_company", "epcFake", "subtle", codes.other_company),
    Variant("lot_of_other_product", "epcFake", "subtle", codes.lot_of_other_product),
    Variant("serial_outside_block", "epcFake", "subtle", codes.serial_outside),
    Variant("early_date", "epcFake", "subtle", codes.early_date),
    Variant("resold", "epcDup", "blatant", clones.resold),
    Variant("sold_while_upstream", "epcDup", "blatant", clones.sold_while_upstream),
    Variant("two_regions_at_once", "epcDup", "blatant", clones.at_once_in_two_regions),
    Variant("parallel_journey", "epcDup", "subtle", clones.parallel_journey),
    Variant("clone_nearby", "epcDup", "subtle", clones.clone_nearby),
    Variant("fast_for_its_day", "jump", "subtle", times.fast_for_its_day),
    Variant("stalled_for_months", "jump", "blatant", times.stalled_for_months),
    Variant("stalled_behind_mates", "jump", "subtle", times.stalled_behind_mates),
    Variant("teleport", "jump", "blatant", times.teleport),
    Variant("below_route_minimum", "jump", "subtle", times.below_minimum),
    Variant("slow_transit", "jump", "subtle", times.slow_transit),
    Variant("out_before_in", "evtOrderErr", "blatant", order.out_before_in),
    Variant("double_in", "evtOrderErr", "blatant", order.double_in),
    Variant("double_out", "evtOrderErr", "subtle", order.double_out),
    Variant("swapped_pair", "evtOrderErr", "subtle", order.swapped_pair),
    Variant("clock_rolled_back", "evtOrderErr", "subtle", order.clock_rolled_back),
    Variant("lane_of_other_product", "locErr", "subtle", places.lane_of_other_product),
    Variant("back_to_hub", "locErr", "blatant", places.back_to_hub),
    Variant("back_to_warehouse", "locErr", "blatant", places.back_to_warehouse),
    Variant("retailer_over_the_border", "locErr", "subtle", places.retailer_over_the_border),
    Variant("wrong_region", "locErr", "subtle", places.wrong_region),
    Variant("stage_skipped", "locErr", "blatant", places.stage_skipped),
    Variant("wrong_hub", "locErr", "subtle", places.wrong_hub),
)


def work_in_anomalies(scans: Scans, items: Items, cat: Catalogue, roads: Congestion, rng: np.random.Generator) -> Scans:
    """Return the scans with all anomalies worked in and labelled; forged codes are printed into ``items``."""
    bench = Workbench(scans, items, cat, roads, rng)
    for kind in dict.fromkeys(variant.kind for variant in VARIANTS):
        weights = {code: cat.habits.weights.get(v.name, 1.0) for code, v in enumerate(VARIANTS) if v.kind == kind}
        left = sum(weights.values())
        bench.kind, bench.labelled = KINDS.index(kind), 0
        for code, weight in weights.items():
            bench.code = code
            missing = cat.habits.shares[kind] * len(scans) - bench.labelled
            if weight > 0:
                VARIANTS[code].work_in(bench, weight * max(missing, 0) / left)
            left -= weight
    return bench.finished()
