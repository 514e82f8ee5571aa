"""Shipments: lots of items that travel together, and split at every level of the hierarchy."""

from __future__ import annotations

import numpy as np

from training.simulation.catalogue import Catalogue, Ints
from training.simulation.scans import Items


def _lot_sizes(cat: Catalogue, epcs: int) -> Ints:
    """Split the items over the lots, by the factories' shares and the lots' weights (largest remainders)."""
    share = np.array(cat.file_shares)
    factory = cat.product_factory[cat.lot_product]
    total = np.bincount(factory, weights=cat.lot_weight)
    exact = epcs * (share / share.sum())[factory] * cat.lot_weight / total[factory]
    sizes: Ints = np.floor(exact).astype(np.int64)
    sizes[np.argsort(sizes - exact, kind="stable")[: epcs - int(sizes.sum())]] += 1
    return sizes


def ship(cat: Catalogue, epcs: int, rng: np.random.Generator) -> tuple[Items, list[Ints]]:
    """Return the items in order of lot and serial, and for each level the group [n] in which an item travels."""
    sizes = _lot_sizes(cat, epcs)
    lot = np.repeat(np.arange(len(sizes)), sizes)
    split = np.r_[True, lot[1:] != lot[:-1]]
    groups = []
    for size in cat.habits.group_sizes:
        split = split | (rng.random(epcs) < 1 / size)
        groups.append(np.cumsum(split) - 1)
    shipment = groups[0]
    gap_before = _gaps(lot, shipment, cat.block_width // cat.serial_step - sizes, rng)
    rank = np.arange(epcs) - np.searchsorted(lot, lot)
    serial = cat.lot_first_serial[lot] + (gap_before[shipment] + rank) * cat.serial_step
    last = np.r_[np.flatnonzero(np.diff(shipment)), epcs - 1]
    first_of_next = np.r_[serial[last[:-1] + 1], 0]
    gap_after = np.where(
        np.r_[lot[last[:-1]] == lot[last[:-1] + 1], False], first_of_next - serial[last] - cat.serial_step, 0
    )
    product = cat.lot_product[lot]
    items = Items(
        lot=lot,
        product=product,
        shipment=shipment,
        made=np.zeros(epcs, dtype=np.int64),
        serial_gap=gap_after[shipment],
        shipment_end=serial[last][shipment],
        company=cat.product_company[product],
        number=cat.product_number[product],
        lot_number=cat.lot_number[lot],
        day=cat.lot_day[lot],
        serial=serial,
        malformed={},
        header=cat.habits.header,
    )
    return items, groups


def _gaps(lot: Ints, shipment: Ints, unshipped: Ints, rng: np.random.Generator) -> Ints:
    """Return how many of the ``unshipped`` [T] serials of its lot lie below each shipment [S].

    A lot starts and ends where its block does.
    """
    first = np.r_[0, np.flatnonzero(np.diff(shipment)) + 1]
    of = lot[first]
    weight = rng.exponential(size=len(of))
    starts = np.r_[True, of[1:] != of[:-1]]
    weight[starts] = 0.0
    total = np.cumsum(weight)
    base = total[starts][np.searchsorted(np.flatnonzero(starts), np.arange(len(of)), side="right") - 1]
    span = np.bincount(of, weights=weight, minlength=len(unshipped))[of]
    share = np.where(span > 0, (total - base) / np.where(span > 0, span, 1.0), 0.0)
    return np.round(np.minimum(share, 1.0) * unshipped[of]).astype(np.int64)
