"""A random network: its own places, lanes, products, codes, rhythms, noise and shares of anomalies."""

from __future__ import annotations

import numpy as np

from training.simulation.catalogue import Catalogue, Floats, Ints, links_of, rare_lanes, reached_from
from training.simulation.networks.habits import Habits, Noise
from training.simulation.networks.places import FACTORY, HUB, RETAILER, WHOLESALER, WMS, Plan, draw_lanes, draw_places
from training.simulation.networks.trade import distinct_numbers, draw_flow, draw_lots

_FULL = (FACTORY, WMS, HUB, WHOLESALER, RETAILER)
_LEVELS = (_FULL, (FACTORY, WMS, HUB, RETAILER), (FACTORY, WMS, WHOLESALER, RETAILER))
_LEVELS_P = (0.7, 0.15, 0.15)
_SELLS, _STREWS, _STRIDES = 0.85, 0.5, 0.25  # of the networks: scan sales, scan in no order, skip serials
_COMPANIES, _PRODUCTS = (1_000_000, 8_700_000), (1_000_000, 2_000_000)  # forged ones are beyond them
_LOT_RANGES = 400  # as many seeds have lots of their own; each range is of as many lots as the network has
_MOST_SERIAL = 900_000_000
_BLOCKS = (20, 1_000_000)  # serials of a lot's block
_TYPICAL_SHARES = {"epcFake": 0.010, "epcDup": 0.010, "locErr": 0.025, "evtOrderErr": 0.010, "jump": 0.018}


def draw_network(network: int, epcs: int, seed: int) -> Catalogue:
    """Return the master data of the random network of seed ``network``.

    Its worlds differ by ``seed`` in the numbers of their lots and serials, as those of the real network do; the blocks
    of serials are as wide as ``epcs`` items need.
    """
    rng = np.random.default_rng([network, 20_250_701])
    levels = _LEVELS[rng.choice(len(_LEVELS), p=_LEVELS_P)]
    plan = Plan(
        factories=int(rng.integers(1, 7)),
        regions=int(rng.integers(2, 8)),
        levels=levels,
        retailers_have_one_supplier=bool(rng.random() < 0.6),
        neighbours=float(rng.choice([0.0, 0.1, 0.3])),
    )
    places, supplier = draw_places(plan, rng)
    lanes = draw_lanes(plan, places, supplier, rng)
    habits = _habits(levels, rng)
    products = max(int(rng.integers(3, 31)), plan.factories)
    factory = rng.permutation(np.arange(products) % plan.factories)
    companies = distinct_numbers(int(rng.integers(1, 8)), *_COMPANIES, rng)
    flow = draw_flow(factory, places, lanes, rng)
    links = links_of(lanes, flow)
    product, day, rank = draw_lots(products, habits.days, rng)
    shares, weight = rng.dirichlet(np.full(plan.factories, 3.0)) + 0.05, rng.uniform(0.3, 1.7, len(product))
    step = int(rng.integers(2, 12)) if rng.random() < _STRIDES else 1
    width = _block_width(step * epcs, factory[product], shares, weight, rng)
    return Catalogue(
        places=places,
        lanes=lanes,
        companies=tuple(companies.tolist()),
        product_company=companies[rng.integers(0, len(companies), products)],
        product_number=distinct_numbers(products, *_PRODUCTS, rng),
        product_factory=factory,
        lot_product=product,
        lot_number=1 + int(rng.integers(0, 500_000)) + len(product) * (seed % _LOT_RANGES) + _order(rank, rng),
        lot_day=day,
        lot_first_serial=_first_serials(product, products, width, seed, rng),
        lot_weight=weight,
        flow=flow,
        links=links,
        reached=reached_from(factory, places, links),
        rare=rare_lanes(places, lanes, flow),
        factories=tuple(f"plant{number + 1}" for number in range(plan.factories)),
        file_shares=tuple(shares.tolist()),
        block_width=width,
        serial_step=step,
        habits=habits,
        drawn=True,
    )


def _order(rank: Ints, rng: np.random.Generator) -> Ints:
    """Number the lots as they are made, by rounds of products, or in no order."""
    return (rank, np.arange(len(rank)), rng.permutation(len(rank)))[rng.integers(3)]


def _block_width(epcs: int, factory: Ints, shares: Floats, weight: Floats, rng: np.random.Generator) -> int:
    """Return how many serials a lot's block has: as many as the largest lot has items, or a multiple of it."""
    total = np.bincount(factory, weights=weight, minlength=len(shares))
    largest = float((epcs * shares[factory] / shares.sum() * weight / total[factory]).max()) + 2
    lowest, highest = _BLOCKS
    return int(np.clip(np.ceil(largest * np.exp(rng.uniform(np.log(1.3), np.log(40)))), max(lowest, largest), highest))


def _first_serials(product: Ints, products: int, width: int, seed: int, rng: np.random.Generator) -> Ints:
    """Return where the block of each lot begins: one after the other, or anew for each round of the products."""
    lot = np.arange(len(product))
    block = lot if rng.random() < 0.5 else lot // products
    blocks = int(block.max()) + 1
    ranges = max(1, min(500, _MOST_SERIAL // (2 * blocks * width)))
    first = 1 + int(rng.integers(0, 50_000_000)) + (block + blocks * (seed % ranges)) * width
    return np.asarray(first, dtype=np.int64)


def _habits(levels: tuple[int, ...], rng: np.random.Generator) -> Habits:
    steps = [0] + [step for level in levels[1:] for step in (2 * level - 1, 2 * level)]
    if rng.random() < _SELLS:
        steps.append(9)
    opens, closes = int(rng.integers(0, 10)), int(rng.integers(16, 25))
    days = int(rng.integers(90, 200))
    quick = np.exp(rng.uniform(np.log(0.15), np.log(1.0)))  # goods that turn over fast, or slowly
    return Habits(
        header=int(rng.integers(1, 1000)),
        days=days,
        events_per_epc=float(len(steps) * rng.uniform(0.42, 0.75)),
        steps=tuple(steps),
        work_hours=(opens, closes),
        shop_hours=(int(rng.integers(6, 12)), int(rng.integers(17, 25))),
        rest_day=int(rng.integers(-1, 7)),
        dwell_days=tuple((quick * rng.uniform(10, 60, 5)).tolist()),
        dwell_spread=tuple(rng.uniform(0.35, 0.8, 5).tolist()),
        least_days=float(rng.uniform(0.2, 1.0)),
        packing_minutes=(int(rng.integers(5, 20)), int(rng.integers(30, 240))),
        strewn_s=int(rng.integers(5, 240)) if rng.random() < _STREWS else 0,
        group_sizes=_group_sizes(rng),
        slow_days=float(rng.uniform(0.0, 0.15)),
        slow_by=(1.3, float(rng.uniform(1.8, 3.0))),
        noise=_noise(rng),
        shares={kind: float(share * np.exp(rng.uniform(-0.7, 0.7))) for kind, share in _TYPICAL_SHARES.items()},
        weights=_weights(rng),
    )


def _group_sizes(rng: np.random.Generator) -> tuple[int, int, int]:
    shipment = int(np.exp(rng.uniform(np.log(25), np.log(200))))
    part = max(4, int(shipment * rng.uniform(0.2, 0.7)))
    return shipment, part, max(2, int(part * rng.uniform(0.2, 0.7)))


def _noise(rng: np.random.Generator) -> Noise:
    late, missed, repeated = rng.uniform(0.0, 0.025, 3).tolist()
    return Noise(
        late=late,
        missed=missed,
        repeated=repeated,
        returned=float(rng.uniform(0.0, 0.012)),
        spells=int(rng.integers(0, 40)),
        spell_hours=(float(rng.uniform(1, 4)), float(rng.uniform(8, 48))),
        unread=(0.3, float(rng.uniform(0.5, 0.95))),
    )


def _weights(rng: np.random.Generator) -> dict[str, float]:
    """Return how often each variant happens: some hardly ever."""
    from training.simulation.anomalies import VARIANTS  # noqa: PLC0415 - which need a catalogue

    return {variant.name: float(np.exp(rng.uniform(-1.2, 1.2))) for variant in VARIANTS}
