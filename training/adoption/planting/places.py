"""locErr: items where they do not belong."""

from __future__ import annotations

import numpy as np

from service.events.vocabulary import EVENT_TYPES, LEVEL_OF_TYPE
from training.adoption.planting.bed import DAY_US, Bed, ScanMask


def place_never_used(bed: Bed) -> None:
    """Diverted to a place of the level to which the product never goes."""
    places = len(bed.reference.location_id)
    eligible = bed.inbound & bed.follows & (bed.level >= 2) & (bed.place < places)
    never = [~bed.used[:, :places] & (bed.seen_at[:, level] > 0) for level in range(bed.seen_at.shape[1])]
    able = np.stack([mask.any(axis=1) for mask in never])  # [levels, products]
    rows = bed.pick(eligible & able[bed.level, bed.product[bed.item]])
    allowed = np.array([never[bed.level[row]][bed.product[bed.item[row]]] for row in rows.tolist()]).reshape(-1, places)
    bed.relocate(rows, bed.choose(allowed))


def lane_never_used(bed: Bed) -> None:
    """To a place that the product does use, over a lane on which nothing travels."""
    reference, places = bed.reference, len(bed.reference.location_id)
    eligible = bed.inbound & bed.follows & (bed.level >= 3) & (bed.place < places)
    rows = bed.rng.permutation(np.flatnonzero(eligible & bed.free[bed.item] & bed.alive))[: 4 * bed.most_items]
    rows = np.sort(rows)
    types = bed.type[rows]
    scan_from = bed.place[rows - 1] * (len(EVENT_TYPES) + 1) + bed.type[rows - 1]
    to = np.arange(places)[None] * (len(EVENT_TYPES) + 1) + types[:, None]
    keys = reference.lane_key(np.broadcast_to(scan_from[:, None], to.shape), to)
    known = reference.lane.find(keys.ravel()).reshape(to.shape) < len(reference.lane.key)
    of_level = bed.seen_at[:, bed.level[rows]].T > 0
    allowed: ScanMask = of_level & ~known & bed.used[bed.product[bed.item[rows]], :places]
    able = np.zeros(len(bed.item), dtype=np.bool_)
    able[rows] = allowed.any(axis=1)
    chosen = bed.pick(able)
    bed.relocate(chosen, bed.choose(allowed[np.searchsorted(rows, chosen)]))


def level_skipped(bed: Bed) -> None:
    """Straight from one level to the one after the next: the scans of a level between do not happen."""
    n = len(bed.item)
    two = np.arange(n) + 2
    ahead = np.minimum(two, n - 1)
    eligible = bed.inbound & bed.follows & bed.followed & (two < n) & (bed.level >= 2) & (bed.level <= 3)
    eligible &= (bed.item[ahead] == bed.item) & (bed.level[ahead] == bed.level + 1) & bed.inbound[ahead]
    rows = bed.pick(eligible)
    bed.alive[rows] = bed.alive[rows + 1] = False
    bed.label(rows + 2)


def straight_to_a_shop(bed: Bed) -> None:
    """From the factory's warehouse to a shop: the levels between are left out, and the journey ends there."""
    shop = EVENT_TYPES.index("R_Stock_Inbound")
    warehouse = LEVEL_OF_TYPE[EVENT_TYPES.index("WMS_Outbound")]
    left_it = np.append(False, bed.level[:-1] == warehouse)
    between = (bed.level > warehouse) & (bed.level < LEVEL_OF_TYPE[shop])
    rows = bed.pick(bed.inbound & bed.follows & left_it & between)
    shops = np.tile(bed.seen_at[:, LEVEL_OF_TYPE[shop]] > 0, (len(rows), 1))
    bed.columns["location_id"][rows] = bed.reference.location_id[bed.choose(shops)]
    bed.columns["event_type"][rows], bed.columns["step"][rows] = shop, LEVEL_OF_TYPE[shop]
    bed.label(rows)
    bed.cut_after(rows)


def sent_back(bed: Bed) -> None:
    """Received two levels up or more, after the last scan downstream."""
    rows = bed.pick(bed.ends & (bed.level >= 3) & (bed.type < len(EVENT_TYPES) - 1) & (bed.wait > 2 * DAY_US))
    inbound = EVENT_TYPES.index("WMS_Inbound"), EVENT_TYPES.index("HUB_Inbound")
    hub = (bed.level[rows] >= 4) & (bed.uniform(rows) < 0.5)
    later = bed.columns["time_us"][rows] + (
        bed.uniform(rows, 0.02, 0.5) * np.minimum(bed.wait[rows], 20 * DAY_US)
    ).astype(np.int64)
    for chosen, kind in ((~hub, inbound[0]), (hub, inbound[1])):
        level = 1 if kind == inbound[0] else 2
        above = np.tile(bed.seen_at[:, level] > 0, (int(chosen.sum()), 1))
        if above.any():
            bed.add(rows[chosen], later[chosen], bed.choose(above), kind)
