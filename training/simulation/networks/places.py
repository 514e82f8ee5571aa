"""The places of a random network and the lanes between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from service.events.vocabulary import LEVELS
from training.simulation.catalogue import Bools, Ints, Lanes, Places, distances

FACTORY, WMS, HUB, WHOLESALER, RETAILER = range(5)

_LAND = ((-45.0, 60.0), (-120.0, 150.0))  # of a network's middle, degrees
_STREWN = {FACTORY: 0.2, WMS: 0.05, HUB: 0.1, WHOLESALER: 0.25, RETAILER: 0.4}  # degrees around the region's middle


class Draft(NamedTuple):
    """A place before it has a number."""

    name: str
    prefix: str  # first part of the column hub_type
    level: int
    region: int  # -1 for factories and their warehouses
    factory: int  # -1 for places of the regions
    supplier: int  # row of the only place that it is supplied by, -1 if all of its region do


@dataclass(frozen=True, slots=True)
class Plan:
    """How many there are of everything."""

    factories: int
    regions: int
    levels: tuple[int, ...]  # of a journey
    retailers_have_one_supplier: bool
    neighbours: float  # chance that places of another region are supplied too


def draw_places(plan: Plan, rng: np.random.Generator) -> tuple[Places, Ints]:
    """Return the places, and of each the row of its only supplier, -1 if all of its region supply it."""
    drafts = _drafts(plan, rng)
    region = np.array([draft.region for draft in drafts])
    level = np.array([draft.level for draft in drafts])
    factory = np.array([draft.factory for draft in drafts])
    middle = np.array([rng.uniform(*side) for side in _LAND])
    size = rng.uniform(0.8, 5.0)
    centre = middle + rng.uniform(-size, size, (plan.regions, 2))
    near = np.where(region >= 0, region, factory % plan.regions)
    strewn = np.array([_STREWN[each] for each in level.tolist()])[:, None] * rng.uniform(0.5, 2.0)
    at = np.round(centre[near] + strewn * rng.standard_normal((len(drafts), 2)), 4)
    home = (level == WMS).nonzero()[0]
    at[home] = np.round(at[home - 1] + 0.03 * rng.standard_normal((len(home), 2)), 4)  # beside its factory
    numbers = np.sort(rng.choice(np.arange(1, 40 * len(drafts)), len(drafts), replace=False))
    places = Places(
        location_id=rng.permutation(numbers) if rng.random() < 0.5 else numbers,
        name=[draft.name for draft in drafts],
        level=level,
        region=region,
        factory=factory,
        prefix=[draft.prefix for draft in drafts],
        at=at,
        km=distances(at),
    )
    return places, np.array([draft.supplier for draft in drafts])


def _drafts(plan: Plan, rng: np.random.Generator) -> list[Draft]:
    drafts: list[Draft] = []
    for number in range(plan.factories):
        drafts.append(Draft(f"Plant {number + 1}", f"P{number + 1}", FACTORY, -1, number, -1))
        drafts.append(Draft(f"Plant {number + 1} warehouse", f"P{number + 1}", WMS, -1, number, -1))
    most = rng.integers(1, [3, 6, 7])  # hubs, wholesalers, retailers
    for region in range(plan.regions):
        above: list[int] = []
        for level, several in zip((HUB, WHOLESALER, RETAILER), most.tolist(), strict=True):
            if level not in plan.levels:
                continue
            own = level == RETAILER and plan.retailers_have_one_supplier and above
            suppliers = above if own else [-1]
            rows: list[int] = []
            for supplier in suppliers:
                for _ in range(int(rng.integers(1, several + 1)) + (level == RETAILER)):
                    name, prefix = f"{LEVELS[level]} {region + 1}-{len(rows) + 1}", f"R{region + 1}_{level}_{len(rows)}"
                    rows.append(len(drafts))
                    drafts.append(Draft(name, prefix, level, region, -1, supplier))
            above = rows
    return drafts


def draw_lanes(plan: Plan, places: Places, supplier: Ints, rng: np.random.Generator) -> Lanes:
    """Return the lanes, each from a level to the next one of the plan: all of them legal, none has to be used."""
    legal = _legal(plan, places, supplier, rng)
    origin, target = np.nonzero(legal)
    km = places.km[origin, target]
    speed, loading = rng.uniform(25, 70), rng.uniform(0.5, 3.0)
    mean = (loading + km / speed) * rng.uniform(0.85, 1.2, len(km))
    shortest = np.maximum(mean * rng.uniform(0.35, 0.8), km / 105)
    std = (mean - shortest) * rng.uniform(0.4, 1.1)
    mean = np.maximum(mean, shortest + 0.2)
    between = np.full(places.km.shape, -1)
    between[origin, target] = np.arange(len(origin))
    count = np.ceil(np.exp(rng.normal(5.5, 0.8, len(origin))))
    return Lanes(origin, target, mean, std, shortest, mean + rng.uniform(1.8, 3.5) * std, count, between)


def _legal(plan: Plan, places: Places, supplier: Ints, rng: np.random.Generator) -> Bools:
    level, region = places.level, places.region
    legal: Bools = np.zeros(places.km.shape, dtype=bool)
    for above, below in zip(plan.levels[1:], plan.levels[2:], strict=False):
        pairs = (level[:, None] == above) & (level == below)
        if above == WMS:
            legal |= pairs
            continue
        same = region[:, None] == region
        only = supplier[None, :] == np.arange(len(level))[:, None]
        other = ~same & (rng.random(pairs.shape) < plan.neighbours) & (below != RETAILER)
        legal |= pairs & np.where(supplier >= 0, only, same | other)
    return legal
