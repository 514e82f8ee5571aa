"""The products of a random network, the lanes that each takes, and its lots."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.simulation.catalogue import Floats, Ints, Lanes, Places
from training.simulation.networks.places import RETAILER, WMS


def draw_flow(factory: Ints, places: Places, lanes: Lanes, rng: np.random.Generator) -> Floats:
    """Return [Q, L]: the weight of a lane among those of its origin, for each product of a ``factory`` [Q].

    A product is sold in some regions, mostly by some of the places of each.
    """
    flow = np.zeros((len(factory), len(lanes.origin)))
    level, regions = places.level, int(places.region.max()) + 1
    favour, breadth = rng.uniform(0.3, 3.0), rng.uniform(0.4, 1.0)
    for product, home in enumerate(factory.tolist()):
        sold = rng.permutation(regions)[: int(rng.integers(1, max(2, round(regions * breadth) + 1)))]
        taken = np.isin(places.region, sold) & ((rng.random(len(level)) < breadth) | (level == RETAILER))
        # Level by level, so that every place that is reached leads on.
        reached = np.flatnonzero((level == WMS) & (places.factory == home)).tolist()
        for origin in reached:
            mine = np.flatnonzero(lanes.origin == origin)
            inside = mine[np.isin(places.region[lanes.target[mine]], sold)]
            used = inside[taken[lanes.target[inside]]]
            options = used if len(used) else inside if len(inside) else mine
            if len(options):
                flow[product, options] = rng.dirichlet(np.full(len(options), favour)) + 0.01
                reached.extend(each for each in lanes.target[options].tolist() if each not in reached)
    for origin in np.unique(lanes.origin):
        mine = lanes.origin == origin
        total = flow[:, mine].sum(axis=1, keepdims=True)
        flow[:, mine] /= np.where(total > 0, total, 1.0)
    return flow


def draw_lots(products: int, days: int, rng: np.random.Generator) -> tuple[Ints, Ints, Ints]:
    """Return (product, production day, place in the order of production) of each lot, each [T]."""
    rounds = int(rng.integers(3, 16))
    lot = np.arange(products * rounds)
    begin = np.sort(rng.uniform(0, 0.95 * days, rounds)) if rng.random() < 0.5 else np.linspace(0, 0.92 * days, rounds)
    begin[0] = 0.0
    offset = rng.permutation(products) * (days / rounds * rng.uniform(0.2, 1.0)) / products
    day = np.minimum((begin[lot // products] + offset[lot % products]).astype(np.int64), days - 2)
    rank = np.empty_like(lot)
    rank[np.lexsort((lot, day))] = lot
    return lot % products, day, rank


def distinct_numbers(count: int, low: int, high: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return ``count`` numbers of ``low`` .. ``high`` - 1: evenly spaced ones, or any."""
    if rng.random() < 0.5:
        step = int(rng.integers(1, max(2, min(30_000, (high - low) // count))))
        return low + int(rng.integers(0, max(1, high - low - step * count))) + step * np.arange(count)
    return np.sort(rng.choice(high - low, count, replace=False)) + low
