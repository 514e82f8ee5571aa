"""epcDup: a second item under the code of a genuine one; labelled from the moment on at which two can be told."""

from __future__ import annotations

import numpy as np

from training.adoption.planting.bed import DAY_US, HOUR_US, SOLD, Bed, ScanMask, ScanRows

_FAR_KM = 60.0
"""Nobody is at two such places within minutes."""


def _elsewhere(bed: Bed, rows: ScanRows, level: int | None = None) -> ScanMask:
    """Return [R, P]: other places of the product that see the scan's level, or another one."""
    places = len(bed.reference.location_id)
    levels = bed.level[rows] if level is None else np.full(len(rows), level)
    of_level = bed.seen_at[:, levels].T > 0
    other = np.arange(places) != bed.place[rows][:, None]
    return np.asarray(of_level & other & bed.used[bed.product[bed.item[rows]], :places])


def _km(bed: Bed, rows: ScanRows) -> np.ndarray:
    """Return the distances [R, P] of all places from those of the scans; places of nowhere are near."""
    places = np.arange(len(bed.reference.location_id))
    return np.nan_to_num(bed.km_between(bed.place[rows][:, None], places[None]))


def _pick(bed: Bed, eligible: ScanMask, allowed: ScanMask) -> tuple[ScanRows, np.ndarray]:
    """Pick among the eligible scans that leave a place; ``allowed`` [E, P] is of the eligible ones."""
    at = np.flatnonzero(eligible)
    possible = np.zeros(len(eligible), dtype=np.bool_)
    possible[at] = allowed.any(axis=1)
    rows = bed.pick(possible)
    return rows, bed.choose(allowed[np.searchsorted(at, rows)])


def _some(bed: Bed, eligible: ScanMask) -> ScanMask:
    """Return the eligible scans, or so many of them at random that a table of them by place stays small."""
    at = np.flatnonzero(eligible & bed.free[bed.item] & bed.alive)
    kept = np.zeros(len(eligible), dtype=np.bool_)
    kept[bed.rng.permutation(at)[: 20 * bed.most_items]] = True
    return kept


def two_places_at_once(bed: Bed) -> None:
    """Seen minutes later at another place of the level, far away."""
    eligible = _some(bed, (bed.level >= 2) & (bed.wait > HOUR_US) & (bed.place < len(bed.reference.location_id)))
    at = np.flatnonzero(eligible)
    rows, place = _pick(bed, eligible, _elsewhere(bed, at) & (_km(bed, at) > _FAR_KM))
    bed.add(rows, bed.columns["time_us"][rows] + (bed.uniform(rows, 0.01, 0.2) * HOUR_US).astype(np.int64), place)


def resold(bed: Bed) -> None:
    """Sold once more, by another shop."""
    eligible = _some(bed, (bed.type == SOLD) & bed.ends & (bed.wait > 2 * DAY_US))
    at = np.flatnonzero(eligible)
    rows, place = _pick(bed, eligible, _elsewhere(bed, at))
    later = bed.uniform(rows, 0.1, 0.85) * np.minimum(bed.wait[rows], 20 * DAY_US)
    bed.add(rows, bed.columns["time_us"][rows] + later.astype(np.int64), place)


def sold_twice(bed: Bed) -> None:
    """Sold once more by the same shop, days later."""
    rows = bed.pick((bed.type == SOLD) & bed.ends & (bed.wait > 2 * DAY_US))
    later = bed.uniform(rows, 0.1, 0.85) * np.minimum(bed.wait[rows], 20 * DAY_US)
    bed.add(rows, bed.columns["time_us"][rows] + np.maximum(later, DAY_US).astype(np.int64))


def sold_while_upstream(bed: Bed) -> None:
    """Sold by a shop while the genuine item lies upstream, whose next scan comes after its sale."""
    eligible = _some(bed, bed.inbound & (bed.level >= 2) & bed.followed & (bed.wait > 3 * DAY_US))
    at = np.flatnonzero(eligible)
    sold_at = bed.type == SOLD
    shops = np.zeros(len(bed.reference.location_id), dtype=np.bool_)
    shops[bed.place[sold_at & (bed.place < len(shops))]] = True
    rows, place = _pick(bed, eligible, _elsewhere_of(bed, at, shops))
    later = bed.uniform(rows, 0.1, 0.8) * bed.wait[rows]
    bed.add(rows, bed.columns["time_us"][rows] + later.astype(np.int64), place, SOLD)
    bed.label(rows + 1)


def _elsewhere_of(bed: Bed, rows: ScanRows, shops: ScanMask) -> ScanMask:
    return np.asarray(bed.used[bed.product[bed.item[rows]], : len(shops)] & shops)


def clone_nearby(bed: Bed) -> None:
    """Received a second time, hours later, by another place of the level."""
    eligible = _some(bed, bed.inbound & (bed.level >= 3) & (bed.wait > 2 * DAY_US))
    at = np.flatnonzero(eligible)
    rows, place = _pick(bed, eligible, _elsewhere(bed, at))
    bed.add(rows, bed.columns["time_us"][rows] + (bed.uniform(rows, 2, 30) * HOUR_US).astype(np.int64), place)


def parallel_stay(bed: Bed) -> None:
    """A clone comes to and leaves another place of the level while the item rests; both go on."""
    eligible = _some(bed, bed.inbound & (bed.level >= 2) & bed.followed & (bed.wait > 6 * DAY_US))
    at = np.flatnonzero(eligible)
    rows, place = _pick(bed, eligible, _elsewhere(bed, at))
    come = bed.columns["time_us"][rows] + (bed.uniform(rows, 3, 60) * HOUR_US).astype(np.int64)
    rest = bed.columns["time_us"][rows + 1] - come
    bed.add(rows, come, place)
    bed.add(rows + 1, come + (bed.uniform(rows, 0.2, 0.7) * rest).astype(np.int64), place)
    later = np.full(len(bed.codes), len(bed.item))
    later[bed.item[rows]] = rows
    bed.label(np.flatnonzero(np.arange(len(bed.item)) > later[bed.item]))
