"""Tables that roll on: new weeks come in, old ones fade, the weights stay."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from service.events.columns import Events
from service.events.vocabulary import START, TYPES, type_index
from service.features.keys import lot_of
from service.features.reference import Counts, Reference
from training.samples.openings import opened, welcomed

_DAY_US = 86_400_000_000

_USUAL = 0.05
"""Share of the journeys that begin with a type, from which this is usual."""

_GONE = 0.5
"""A count that faded below it is forgotten."""


@dataclass(frozen=True, slots=True, eq=False)
class Earlier:
    """Tables of an adoption before, that new weeks are added to."""

    reference: Reference
    keep: float  # 0 .. 1: how much of a count is left
    oldest_lot_day: float  # days since 1970: lots before it are forgotten

    def with_new(self, new: Reference, events: Events) -> Reference:
        """Return the tables of both; ``new`` are those that ``events`` taught."""
        both = rolled(self.reference, new, self.keep, self.oldest_lot_day)
        return welcomed(both, opened(both, _on_places(self.reference, both.location_id)), events)


def earlier_of(reference: Reference, until_us: int, now_us: int, forget_days: float) -> Earlier:
    """Return what is left of tables of data until one moment at another one, both in microseconds since 1970.

    Counts fade evenly, to nothing after ``forget_days``; lots are forgotten at that age.
    """
    days = max(now_us - until_us, 0) / _DAY_US
    return Earlier(reference, max(0.0, 1.0 - days / forget_days), now_us / _DAY_US - forget_days)


def begun(events: Events, known: Reference) -> NDArray[np.bool_]:
    """Return which events [N] are of items whose journey begins among them: the others were on their way before.

    A journey begins with a type that at least 5 % of the known ones begin with. What began before the first file would
    look as if it were seen downstream first, and teach that this is normal.
    """
    first = np.full(len(events.epc_codes), np.iinfo(np.int64).max)
    np.minimum.at(first, events.epc, events.time_us)
    starts = known.type_pair[START] / max(known.type_pair[START].sum(), 1.0)
    begins = (events.time_us == first[events.epc]) & (starts[type_index(events.event_type)] >= _USUAL)
    items = np.zeros(len(events.epc_codes), dtype=np.bool_)
    items[events.epc[begins]] = True
    return items[events.epc]


def rolled(old: Reference, new: Reference, keep: float, oldest_lot_day: float) -> Reference:
    """Return the tables of both: what ``old`` says counts ``keep`` (0 .. 1) as much, what ``new`` says in full.

    Quantiles of a lane are the mean of both, by how often each saw the lane. Places are those of both; coordinates,
    routes and zones are those of ``new`` where it has them. Lots of which ``new`` saw nothing and whose last date part
    is before ``oldest_lot_day`` (days since 1970) are forgotten.
    """
    location_id = np.union1d(old.location_id, new.location_id)
    before, after = _on_places(old, location_id), _on_places(new, location_id)
    lane, lane_gap = _weighted(before.lane, before.lane_gap, after.lane, after.lane_gap, keep)
    weight = np.stack([keep * before.type_pair, after.type_pair], axis=-1)
    total = np.maximum(weight.sum(axis=2), 1e-9)[..., None]
    gap = (weight[..., :1] * before.type_pair_gap + weight[..., 1:] * after.type_pair_gap) / total
    unseen = weight.sum(axis=2) == 0
    gap[unseen] = after.type_pair_gap[unseen]
    route_from = after if len(after.route.key) else before
    return _with_lots(
        replace(
            after,
            latitude=np.where(np.isnan(after.latitude), before.latitude, after.latitude),
            longitude=np.where(np.isnan(after.longitude), before.longitude, after.longitude),
            lane=lane,
            lane_gap=lane_gap,
            type_pair=keep * before.type_pair + after.type_pair,
            type_pair_gap=gap,
            route=route_from.route,
            route_hours=route_from.route_hours,
            hours=_hours(before.hours, after.hours, keep),
            scan=_sum(before.scan, after.scan, keep),
            product_scan=_sum(before.product_scan, after.product_scan, keep),
            product_type=_sum(before.product_type, after.product_type, keep),
            header=_sum(before.header, after.header, keep),
            company=_sum(before.company, after.company, keep),
            product=_sum(before.product, after.product, keep),
            company_product=_sum(before.company_product, after.company_product, keep),
        ),
        before,
        after,
        oldest_lot_day,
    )


def _hours(
    before: NDArray[np.float64] | None, after: NDArray[np.float64] | None, keep: float
) -> NDArray[np.float64] | None:
    return after if before is None or after is None else keep * before + after


def _with_lots(merged: Reference, before: Reference, after: Reference, oldest_lot_day: float) -> Reference:
    young = before.lot_day[:, 1] >= oldest_lot_day
    known = Counts(before.product_lot.key[young], before.product_lot.count[young])
    lots = _sum(known, after.product_lot, 1.0)  # a lot is not less issued for being older
    number, row = np.unique(lot_of(lots.key), return_inverse=True)
    of_number = Counts(number, np.bincount(row, lots.count, minlength=len(number)).astype(np.float64))
    return replace(
        merged,
        product_lot=lots,
        lot=of_number,
        lot_day=_ranges(lots, (known, before.lot_day[young]), (after.product_lot, after.lot_day)),
        lot_serial=_ranges(lots, (known, before.lot_serial[young]), (after.product_lot, after.lot_serial)),
    )


def _ranges(lots: Counts, *tables: tuple[Counts, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the lowest and highest value [lots, 2] of the tables."""
    low, high = np.full(len(lots.key), np.inf), np.full(len(lots.key), -np.inf)
    for counts, values in tables:
        row = lots.find(counts.key)
        low[row], high[row] = np.minimum(low[row], values[:, 0]), np.maximum(high[row], values[:, 1])
    return np.stack([low, high], axis=1)


def _on_places(reference: Reference, location_id: NDArray[np.int64]) -> Reference:
    """Return the tables with the places ``location_id``, its own among them: other indices, other keys."""
    old_places, places = len(reference.location_id), len(location_id)
    place = np.append(np.searchsorted(location_id, reference.location_id), [places, places + 1])  # unknown, start
    scans = (places + 2) * TYPES
    known = place[:old_places]

    def scan(key: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.asarray(place[key // TYPES] * TYPES + key % TYPES)

    def coordinates(values: NDArray[np.float64]) -> NDArray[np.float64]:
        wide = np.full(places, np.nan)
        wide[known] = values
        return wide

    lane_from, lane_to = np.divmod(reference.lane.key, reference.scans)
    product, product_scan = np.divmod(reference.product_scan.key, reference.scans)
    route_from, route_to = np.divmod(reference.route.key, old_places + 1)
    lane_key = scan(lane_from) * scans + scan(lane_to)
    route_key = place[route_from] * (places + 1) + place[route_to]
    lanes, routes = np.argsort(lane_key), np.argsort(route_key)
    return replace(
        reference,
        location_id=location_id,
        latitude=coordinates(reference.latitude),
        longitude=coordinates(reference.longitude),
        scan=_sorted(scan(reference.scan.key), reference.scan.count),
        product_scan=_sorted(product * scans + scan(product_scan), reference.product_scan.count),
        lane=Counts(lane_key[lanes], reference.lane.count[lanes]),
        lane_gap=reference.lane_gap[lanes],
        route=Counts(route_key[routes], reference.route.count[routes]),
        route_hours=reference.route_hours[routes],
    )


def _sorted(key: NDArray[np.int64], count: NDArray[np.float64]) -> Counts:
    order = np.argsort(key)
    return Counts(key[order], count[order])


def _sum(before: Counts, after: Counts, keep: float) -> Counts:
    """Return the counts of both; those that faded away are left out."""
    key, row = np.unique(np.concatenate([before.key, after.key]), return_inverse=True)
    count = np.bincount(row, np.concatenate([keep * before.count, after.count]), minlength=len(key)).astype(np.float64)
    left = count >= _GONE
    return Counts(key[left], count[left])


def _weighted(
    before: Counts, gap_before: NDArray[np.float64], after: Counts, gap_after: NDArray[np.float64], keep: float
) -> tuple[Counts, NDArray[np.float64]]:
    """Return the lanes of both, and their quantiles [lanes, 4] weighted by the counts."""
    both = _sum(before, after, keep)
    table, weight = np.zeros((len(both.key) + 1, 4)), np.zeros((len(both.key) + 1, 1))
    for counts, gaps, factor in ((before, gap_before, keep), (after, gap_after, 1.0)):
        row, share = both.find(counts.key), factor * counts.count[:, None]
        table[row] += share * gaps
        weight[row] += share
    return both, table[:-1] / np.maximum(weight[:-1], 1e-9)
