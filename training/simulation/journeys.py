"""Shipments and their normal journeys within the observation window.

Lots move in shipments that split at every level of the hierarchy; a shipment's items share their scans but for seconds.
Routes, their weights and their times are those of the transition table, slow days included; dwell times are
heavy-tailed. The observation window cuts the journeys, and each factory's pace of trade is fitted so that its file has
its share of the events.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.simulation.catalogue import Bools, Catalogue, Floats, Ints
from training.simulation.congestion import Congestion
from training.simulation.networks.habits import Habits
from training.simulation.scans import DAY, HOUR, MINUTE, NOISES, Items, Scans, dispatch, new_scans, workday

_NEVER = 1 << 40

_BASE_LOAD = (
    1.011  # events of the journeys alone per event of the finished files (noise and anomalies change the count)
)

_USUAL = 0.9  # of a lane's mean time above its minimum: slow days make up the rest


@dataclass(frozen=True, slots=True, eq=False)
class JourneyPlan:
    """What is drawn for each item before the pace of trade is known."""

    place: Ints  # [n, 10] place code by step, -1 where the journey has no such step
    start: Ints  # [n] time of aggregation
    packing: Ints  # [n] seconds from aggregation to the warehouse's inbound scan
    dwell: Floats  # [n, 5] days before pace
    lane: Ints  # [n, 3] warehouse to hub, to wholesaler, to retailer, -1 where the journey has ended
    transit: Ints  # [n, 3] usual seconds on them
    offset: Ints  # [n, 1 or 10] seconds by which an item trails the first one of its shipment, by step or at all
    rare: Bools  # [n, 2] reached the hub, the wholesaler, by a rare lane


def plan_journeys(cat: Catalogue, items: Items, groups: list[Ints], rng: np.random.Generator) -> JourneyPlan:
    """Draw routes and times of all items, each level of the hierarchy by its groups."""
    n, habits = len(items.lot), cat.habits
    factory = cat.product_factory[items.product]
    place = np.full((n, 10), -1)
    place[:, 0] = _home(cat, 0)[factory]
    place[:, 1] = place[:, 2] = _home(cat, 1)[factory]
    lanes, transit, rare = np.full((n, 3), -1), np.zeros((n, 3), dtype=np.int64), np.zeros((n, 2), dtype=bool)
    for level, group in enumerate(groups):
        if 2 * level + 3 not in habits.steps:
            continue
        origin = habits.before(2 * level + 3) + 1
        lane = _lanes(cat, items.product, place[:, origin], group, rng)
        place[:, 2 * level + 3] = place[:, 2 * level + 4] = np.where(lane >= 0, cat.lanes.target[lane], -1)
        lanes[:, level] = lane
        transit[:, level] = _transit(cat, lane, group, rng)
        if level < 2:
            rare[:, level] = cat.rare[items.product, lane] & (lane >= 0)
    if 9 in habits.steps:
        place[:, 9] = place[:, 8]
    shelf_batch = np.cumsum(np.r_[True, (np.diff(groups[2]) > 0) | (rng.random(n - 1) < 1 / 3)]) - 1
    dwell = np.stack(
        [
            (median * np.exp(spread * rng.standard_normal(int(group[-1]) + 1)))[group]
            for median, spread, group in zip(
                habits.dwell_days, habits.dwell_spread, [*groups, shelf_batch, np.arange(n)], strict=True
            )
        ],
        axis=1,
    )
    shipment, shipments = items.shipment, int(items.shipment[-1]) + 1
    rank = np.arange(n) - np.searchsorted(shipment, shipment)
    return JourneyPlan(
        place=place,
        start=cat.lot_day[items.lot] * DAY + rng.integers(8 * HOUR, 18 * HOUR, shipments)[shipment],
        packing=(MINUTE * rng.integers(*habits.packing_minutes, shipments))[shipment],
        dwell=dwell,
        lane=lanes,
        transit=transit,
        offset=_offset(habits, rank, shipment, rng),
        rare=rare,
    )


def _offset(habits: Habits, rank: Ints, shipment: Ints, rng: np.random.Generator) -> Ints:
    if habits.strewn_s:
        return rng.integers(0, habits.strewn_s, (len(rank), 10))
    return (rank * rng.integers(0, 3, int(shipment[-1]) + 1)[shipment])[:, None]


def _home(cat: Catalogue, level: int) -> Ints:
    """Return by factory code the place of that level."""
    own = np.flatnonzero(cat.places.level == level)
    return own[np.argsort(cat.places.factory[own], kind="stable")]


def _lanes(cat: Catalogue, product: Ints, origin: Ints, group: Ints, rng: np.random.Generator) -> Ints:
    """Draw one lane per group from the flow of its product: lane index [n], -1 where the journey ends at the origin."""
    first = np.r_[0, np.flatnonzero(np.diff(group)) + 1]
    drawn, lane = rng.random(len(first)), np.full(len(first), -1)
    key = product[first] * 1000 + origin[first]
    for value in np.unique(key[origin[first] >= 0]):
        flow = np.where(cat.lanes.origin == value % 1000, cat.flow[value // 1000], 0.0)
        if flow.any():
            mine = key == value
            options = np.flatnonzero(flow)
            edges = np.cumsum(flow[options]) / flow.sum()
            lane[mine] = options[np.minimum(np.searchsorted(edges, drawn[mine]), len(options) - 1)]
    return lane[group]


def _transit(cat: Catalogue, lane: Ints, group: Ints, rng: np.random.Generator) -> Ints:
    """Draw usual seconds on the road per group: the lane's minimum plus a log-normal, at most twice its maximum."""
    lanes = cat.lanes
    mean, std = _USUAL * (lanes.mean - lanes.shortest), lanes.std
    sigma = np.sqrt(np.log1p((std / mean) ** 2))
    normal = rng.standard_normal(int(group[-1]) + 1)[group]
    hours = lanes.shortest[lane] + mean[lane] * np.exp(sigma[lane] * normal - sigma[lane] ** 2 / 2)
    seconds: Ints = np.ceil(np.minimum(hours, 2 * lanes.longest[lane]) * HOUR).astype(np.int64)
    return seconds


def _clock(habits: Habits, plan: JourneyPlan, pace: Floats, roads: Congestion | None = None) -> Ints:
    """Return the scan times [n, 10] if stays take ``pace`` [n] times the planned days, _NEVER if there is no step.

    Without ``roads`` no day is slow.
    """
    time = np.full((len(plan.start), 10), _NEVER)
    time[:, 0] = plan.start
    time[:, 1] = plan.start + plan.packing
    stay = np.maximum(plan.dwell * pace[:, None], habits.least_days) * DAY
    for step in habits.inbound:
        if step > 1:
            road, left = plan.transit[:, (step - 3) // 2], time[:, habits.before(step) + 1]
            if roads is not None:
                road = roads.slowed(road, plan.lane[:, (step - 3) // 2], roads.of(plan.place[:, step], left))
            time[:, step] = left + road
        time[:, step + 1] = dispatch(time[:, step] + stay[:, step // 2].astype(np.int64), habits)
    sold = workday(time[:, 8] + stay[:, 4].astype(np.int64), *habits.shop_hours)
    time += plan.offset
    time[:, 9] = np.maximum(sold, time[:, 8] + HOUR // 2)
    return np.where(plan.place >= 0, time, _NEVER)


def journeys(cat: Catalogue, items: Items, plan: JourneyPlan, roads: Congestion, epcs: int) -> Scans:
    """Find the pace of each factory that fills its file, and return the scans within the window."""
    factory = cat.product_factory[items.product]
    share = np.array(cat.file_shares)
    target = epcs * cat.habits.events_per_epc * _BASE_LOAD * share / share.sum()
    fast, slow = np.full(len(share), 0.1), np.full(len(share), 6.0)
    for _ in range(14):
        pace = (fast + slow) / 2
        seen = (_clock(cat.habits, plan, pace[factory]) <= cat.habits.end).sum(axis=1)
        too_many = np.bincount(factory, weights=seen, minlength=len(share)) > target
        fast, slow = np.where(too_many, pace, fast), np.where(too_many, slow, pace)
    time = _clock(cat.habits, plan, slow[factory], roads)
    items.made = time[:, 0].copy()
    item, step = np.nonzero(time <= cat.habits.end)
    scans = new_scans(item, step, plan.place[item, step], time[item, step])
    rare = np.zeros(time.shape, dtype=bool)
    rare[:, [3, 5]] = plan.rare
    scans.noise[rare[item, step]] = NOISES.index("rare_lane")
    return scans
