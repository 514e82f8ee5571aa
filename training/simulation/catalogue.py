"""Master data of the simulated trade: places, lanes, products and lots.

Nothing here depends on the size of a world, and on its seed only what a world of other weeks would have of its own: the
numbers of the lots and their serials, so that no two worlds issue the same codes. Those of seed 0 are the real ones.
The places and lanes are the real ones (``data/``). Wholesalers 37 and 45 are not in the master and no lane leads to
them, although their retailers are in use: the 58 locations of the rows are exactly the 58 of the master.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.events.earth import great_circle_km
from service.events.vocabulary import LEVELS
from training.simulation.networks.habits import Habits

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

DATA = Path(__file__).parents[1] / "data"
FACTORIES = ("hws", "icn", "kum", "ygs")
"""Files of a world in name order; a factory's code is its index here."""

FILE_SHARES = (220_800.0, 437_200.0, 129_800.0, 132_200.0)
"""Rows of the real files."""

REGIONS = ("수도권", "전북", "전남", "경북")
BLOCK_WIDTH = 20_000
"""Serials issued per lot: room for worlds of 400,000 EPCs with unshipped gaps left in every block."""

_FACTORY_NAMES = {"화성": "hws", "인천": "icn", "구미": "kum", "양산": "ygs"}
_FACTORY_PREFIX = {"hws": "HWS", "icn": "ICN", "kum": "KUM", "ygs": "YGS"}
_REGION_PREFIX = {"수도권": "SEL", "전북": "JBK", "전남": "JNM", "경북": "GBK"}
_LEVEL_OF_NAME = (("공장창고", "WMS"), ("공장", "Factory"), ("물류센터", "Logistics_HUB"), ("소매상", "R_Stock"))

# Product -> (factory, share of each hub, wholesalers its distributors buy through): the usual flow. Shares add up
# to the lane counts of the transition table; a hub with a share of a few per cent is rare but legal.
_FLOWS: tuple[tuple[str, dict[str, float], tuple[int, ...]], ...] = (
    ("icn", {"수도권": 1.0}, (23, 25)),
    ("icn", {"수도권": 1.0}, (23, 25, 43)),
    ("icn", {"전북": 1.0}, (29, 33)),
    ("icn", {"수도권": 0.95, "전북": 0.05}, (23, 25, 27, 29)),
    ("icn", {"전북": 1.0}, (29, 41)),
    ("icn", {"전남": 1.0}, (35,)),
    ("icn", {"수도권": 0.5, "전북": 0.3, "전남": 0.2}, (23, 29, 33, 35)),
    ("hws", {"전북": 0.8, "경북": 0.2}, (27, 29, 41)),
    ("hws", {"경북": 0.92, "전북": 0.08}, (29, 31, 41)),
    ("hws", {"전북": 1.0}, (27, 29, 33, 39)),
    ("hws", {"전북": 0.6, "전남": 0.4}, (29, 35, 39)),
    ("ygs", {"전남": 1.0}, (35,)),
    ("ygs", {"전남": 1.0}, (35,)),
    ("kum", {"경북": 1.0}, (31, 41)),
    ("kum", {"경북": 1.0}, (31, 41)),
)
_COMPANIES = (8_804_823, 8_805_843, 8_809_437)
_LOTS = 104
_LOT_RANGES, _SERIAL_RANGES = 8_500, 7_001  # as many seeds have them of their own; together, their product
# Every product starts a new lot in each round. Most of the last lots are still on their way when the window ends, as in
# the real files, where a third of the items never left the factory's warehouse.
_ROUND_DAYS = np.array([0, 20, 50, 85, 115, 135, 146])
_ROUND_LENGTH = 12  # days over which the products' lots of one round spread
_RARE_SHARE = 0.15  # a lane that carries less than this of what its origin ships for a product


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """The P places of the location master (the real one has 58); a place's code is its row."""

    location_id: Ints  # [P]
    name: list[str]
    level: Ints  # [P] index into service.events.vocabulary.LEVELS, retailers (which also sell) as R_Stock
    region: Ints  # [P] index of the region (REGIONS), -1 for factories and their warehouses
    factory: Ints  # [P] index of the factory (FACTORIES), -1 for places of the regions
    prefix: list[str]  # first part of the column hub_type
    at: Floats  # [P, 2] latitude and longitude in degrees
    km: Floats  # [P, P] great circle distance


@dataclass(frozen=True, slots=True, eq=False)
class Lanes:
    """The L lanes of the transition table, times in hours."""

    origin: Ints  # [L] place code
    target: Ints  # [L] place code
    mean: Floats
    std: Floats
    shortest: Floats
    longest: Floats
    count: Floats  # [L] transitions seen
    between: Ints  # [P, P] lane index by origin and target, -1 where there is no lane


@dataclass(frozen=True, slots=True, eq=False)
class Catalogue:
    """Products, their lots and their usual flow: Q products of F factories, in T lots."""

    places: Places
    lanes: Lanes
    companies: tuple[int, ...]
    product_company: Ints  # [Q] company number
    product_number: Ints  # [Q]
    product_factory: Ints  # [Q] index of the factory
    lot_product: Ints  # [T] product index
    lot_number: Ints  # [T]
    lot_day: Ints  # [T] production day, days after 2025-07-01
    lot_first_serial: Ints  # [T] the block is [first, first + block_width)
    lot_weight: Floats  # [T] relative size among the lots of its factory
    flow: Floats  # [Q, L] weight of a lane among the lanes of its origin, for each product
    links: Bools  # [Q, P, P] by origin and target the lanes of that flow
    reached: Bools  # [Q, P] places from the factory's warehouse on that the flow leads through
    rare: Bools  # [Q, L] legal lanes to hubs and wholesalers that the product seldom takes
    factories: tuple[str, ...] = FACTORIES  # files of a world in name order
    file_shares: tuple[float, ...] = FILE_SHARES  # [F] rows of each; only their proportions count
    block_width: int = BLOCK_WIDTH
    serial_step: int = 1  # from one item of a lot to the next
    habits: Habits = field(default_factory=Habits)
    drawn: bool = False  # not the real network: its masters are written, not copied


def catalogue(seed: int) -> Catalogue:
    """Return the master data of the worlds of a seed."""
    cat = _of_seed_0()
    rounds = len(_ROUND_DAYS)
    return replace(
        cat,
        lot_number=cat.lot_number + seed % _LOT_RANGES * _LOTS,
        lot_first_serial=cat.lot_first_serial + seed % _SERIAL_RANGES * rounds * BLOCK_WIDTH,
    )


@cache
def _of_seed_0() -> Catalogue:
    """Return the master data, read and derived once."""
    places = _places()
    lanes = _lanes(places)
    lot = np.arange(_LOTS)
    products = len(_FLOWS)
    product = lot % products
    flow = _flow(places, lanes)
    links = links_of(lanes, flow)
    factory = np.array([FACTORIES.index(name) for name, _, _ in _FLOWS])
    return Catalogue(
        places=places,
        lanes=lanes,
        companies=_COMPANIES,
        product_company=np.array(_COMPANIES)[np.arange(products) % 3],
        # The real Product 4 is 1293291 of company 8804823; its lot 010004 of 2025-07-01 holds serial 4002.
        product_number=1_200_011 + 23_320 * np.arange(1, products + 1),
        product_factory=factory,
        lot_product=product,
        lot_number=10_001 + lot,
        lot_day=_ROUND_DAYS[lot // products] + ((product - 3) * 4 % products) * _ROUND_LENGTH // products,
        lot_first_serial=1 + (lot // products) * BLOCK_WIDTH,
        lot_weight=np.asarray(0.6 + 0.1 * (lot * 5 % 9), dtype=np.float64),
        flow=flow,
        links=links,
        reached=reached_from(factory, places, links),
        rare=rare_lanes(places, lanes, flow),
    )


def _rows(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def _places() -> Places:
    rows = _rows("locations.csv")
    names = [row["scan_location"] for row in rows]
    level = [next((s for end, s in _LEVEL_OF_NAME if end in name), "W_Stock") for name in names]
    region = [next((i for i, r in enumerate(REGIONS) if name.startswith(r)), -1) for name in names]
    factory = [_FACTORY_NAMES.get(name[:2], "") for name in names]
    at = np.array([[float(row["Latitude"]), float(row["Longitude"])] for row in rows])
    return Places(
        location_id=np.array([int(row["location_id"]) for row in rows]),
        name=names,
        level=np.array([LEVELS.index(s) for s in level]),
        region=np.array(region),
        factory=np.array([FACTORIES.index(f) if f else -1 for f in factory]),
        prefix=[_prefix(name, f) for name, f in zip(names, factory, strict=True)],
        at=at,
        km=distances(at),
    )


def _prefix(name: str, factory: str) -> str:
    """Return the place's part of hub_type, such as ICN, SEL_Logi, SEL_WS1 or SEL_WS3_Rsell2."""
    if factory:
        return _FACTORY_PREFIX[factory]
    region = next(r for r in REGIONS if name.startswith(r))
    digits = [c for c in name if c.isdigit()]
    parts = ("WS", "Rsell")
    return "_".join([_REGION_PREFIX[region]] + [part + digit for part, digit in zip(parts, digits, strict=False)])


def distances(at: Floats) -> Floats:
    """Return great circle distances [P, P] in km for latitudes and longitudes [P, 2] in degrees."""
    lat, lon = np.radians(at).T
    return great_circle_km(lat[:, None], lon[:, None], lat, lon)


def _lanes(places: Places) -> Lanes:
    rows = _rows("transitions.csv")
    code = {name: i for i, name in enumerate(places.name)}
    origin = np.array([code[row["from_scan_location"]] for row in rows])
    target = np.array([code[row["to_scan_location"]] for row in rows])
    mean, std, shortest, longest, count = (
        np.array([float(row[f"time_taken_hours_{key}"]) for row in rows])
        for key in ("mean", "std", "min", "max", "count")
    )
    between = np.full((len(places.name),) * 2, -1)
    between[origin, target] = np.arange(len(rows))
    return Lanes(origin, target, mean, std, shortest, longest, count, between)


def _flow(places: Places, lanes: Lanes) -> Floats:
    """Return [15, L]: per origin the hub shares of the flow, or the counts of the lanes that it uses, summing to 1."""
    flow = np.zeros((len(_FLOWS), len(lanes.count)))
    level = places.level[lanes.target]
    for product, (factory, hubs, wholesalers) in enumerate(_FLOWS):
        share = np.array([hubs.get(region, 0.0) for region in REGIONS])
        to_hub = (level == LEVELS.index("Logistics_HUB")) & (places.factory[lanes.origin] == FACTORIES.index(factory))
        flow[product, to_hub] = share[places.region[lanes.target[to_hub]]]
        bought = np.isin(places.location_id[lanes.target], wholesalers) & (share[places.region[lanes.origin]] > 0)
        below = bought | (level == LEVELS.index("R_Stock"))
        flow[product, below] = lanes.count[below]
    for origin in np.unique(lanes.origin):
        mine = lanes.origin == origin
        total = flow[:, mine].sum(axis=1, keepdims=True)
        flow[:, mine] /= np.where(total > 0, total, 1.0)
    return flow


def links_of(lanes: Lanes, flow: Floats) -> Bools:
    """Return [Q, P, P]: by origin and target the lanes of each product's flow."""
    links = np.zeros((len(flow), *lanes.between.shape), dtype=bool)
    product, lane = np.nonzero(flow)
    links[product, lanes.origin[lane], lanes.target[lane]] = True
    return links


def rare_lanes(places: Places, lanes: Lanes, flow: Floats) -> Bools:
    """Return [Q, L]: lanes to hubs and wholesalers that each product takes, but seldom."""
    return np.asarray((flow > 0) & (flow < _RARE_SHARE) & (places.level[lanes.target] != LEVELS.index("R_Stock")))


def reached_from(factory: Ints, places: Places, links: Bools) -> Bools:
    """Return [Q, P]: places from the warehouse of each product's ``factory`` [Q] on that the ``links`` lead through."""
    reached: Bools = (places.level == LEVELS.index("WMS")) & (places.factory == factory[:, None])
    for _ in ("hubs", "wholesalers", "retailers"):
        reached |= (links & reached[:, :, None]).any(axis=1)
    return reached
