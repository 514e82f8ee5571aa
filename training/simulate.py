"""A world of scan events with known truth: raw files as the real ones, and which scans are anomalous and why.

Lots move in shipments that split at every level of the hierarchy; a shipment's items share their scans but for seconds.
Routes, their weights and their times are those of the transition table; dwell times are heavy-tailed. The observation
window cuts the journeys, and each factory's pace of trade is fitted so that its file has its share of the events.
All times are seconds after 2025-07-01 00:00:00. Every sort is stable, so a world depends on (epcs, seed) alone.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.csv  # type: ignore[import-untyped]
import pyarrow.parquet  # type: ignore[import-untyped]

from service.events import EVENT_TYPES, KINDS
from training.catalogue import BLOCK_WIDTH, DATA, FACTORIES, Bools, Catalogue, Floats, Ints, catalogue
from training.simulate_anomalies import (
    DAY,
    END,
    HOUR,
    MAX_SCANS,
    MINUTE,
    VARIANTS,
    Items,
    Scans,
    date_text,
    merged,
    new_scans,
    printed_code,
    work_in_anomalies,
)

NOISES = ("", "late_scan", "missed_scan", "re_read", "rare_lane", "return")
"""Harmless noise by code: never labelled as an anomaly."""

EVENTS_PER_EPC = 4.6
FILE_SHARES = {"hws": 220_800, "icn": 437_200, "kum": 129_800, "ygs": 132_200}
"""Rows of the real files; only their proportions count."""

MIN_EPCS, MAX_EPCS = 500, 400_000

Progress = Callable[[str, float], None]

_EPOCH = np.datetime64("2025-07-01T00:00:00", "s")
_NEVER = 1 << 40
_BASE_LOAD = (
    1.005  # events of the journeys alone per event of the finished files (noise and anomalies change the count)
)
_GROUP_SIZES = (60, 20, 6)  # mean items of a shipment, of its part for a wholesaler, of that part's part for a retailer
_DWELL_DAYS = (45.0, 30.0, 34.0, 26.0, 26.0)  # median stay: warehouse, hub, wholesaler, retailer's stock, shelf
_DWELL_SPREAD = (0.6, 0.6, 0.5, 0.6, 0.8)  # sigma of the log: heavy tails
_SHARE_LATE, _SHARE_MISSED, _SHARE_REPEATED, _SHARE_RETURNED = 0.012, 0.012, 0.012, 0.006  # of events


@dataclass(frozen=True, slots=True)
class Summary:
    """What a world contains."""

    epcs: int
    events: int
    events_by_file: dict[str, int]  # file name without suffix -> rows
    anomalous: int  # events with at least one label
    labelled: dict[str, int]  # kind -> events
    variants: dict[str, int]  # variant -> events
    noise: dict[str, int]  # noise -> events


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What is drawn for each item before the pace of trade is known."""

    place: Ints  # [n, 10] place code by step, -1 where the journey has no such step
    start: Ints  # [n] time of aggregation
    packing: Ints  # [n] seconds from aggregation to the warehouse's inbound scan
    dwell: Floats  # [n, 5] days before pace
    transit: Ints  # [n, 3] seconds: warehouse to hub, to wholesaler, to retailer
    offset: Ints  # [n] seconds by which an item trails the first one of its shipment
    rare: Bools  # [n, 2] reached the hub, the wholesaler, by a rare lane


def simulate(out: Path, epcs: int, seed: int, progress: Progress | None = None) -> Summary:
    """Write a world of ``epcs`` items to ``out``: four raw files, the reference tables and ``truth.parquet``.

    ``progress`` is called with the name of the stage that begins and the share of the work done, 0..1.
    Raises ValueError if ``epcs`` is outside 500..400,000, the sizes that the catalogue's lots can hold.
    """
    if not MIN_EPCS <= epcs <= MAX_EPCS:
        raise ValueError(f"epcs must be between {MIN_EPCS:,} and {MAX_EPCS:,}, not {epcs:,}")
    report = progress or _silent
    out.mkdir(parents=True, exist_ok=True)
    cat, rng = catalogue(), np.random.default_rng([seed, epcs])
    report("shipments", 0.0)
    items, groups = _ship(cat, epcs, rng)
    plan = _plan(cat, items, groups, rng)
    report("journeys", 0.1)
    scans = _journeys(cat, items, plan, epcs)
    report("noise", 0.3)
    scans = _add_noise(scans, rng)
    report("anomalies", 0.4)
    scans = work_in_anomalies(scans, items, cat, rng)
    report("files", 0.6)
    summary = _write(out, scans, items, cat)
    report("done", 1.0)
    return summary


def _silent(_stage: str, _done: float) -> None:
    pass


# ---------------------------------------------------------------- shipments


def _lot_sizes(cat: Catalogue, epcs: int) -> Ints:
    """Split the items over the lots, by the factories' shares and the lots' weights (largest remainders)."""
    share = np.array([FILE_SHARES[f] for f in FACTORIES], dtype=float)
    factory = cat.product_factory[cat.lot_product]
    total = np.bincount(factory, weights=cat.lot_weight)
    exact = epcs * (share / share.sum())[factory] * cat.lot_weight / total[factory]
    sizes: Ints = np.floor(exact).astype(np.int64)
    sizes[np.argsort(sizes - exact, kind="stable")[: epcs - int(sizes.sum())]] += 1
    return sizes


def _ship(cat: Catalogue, epcs: int, rng: np.random.Generator) -> tuple[Items, list[Ints]]:
    """Return the items in order of lot and serial, and for each level the group [n] in which an item travels."""
    sizes = _lot_sizes(cat, epcs)
    lot = np.repeat(np.arange(len(sizes)), sizes)
    split = np.r_[True, lot[1:] != lot[:-1]]
    groups = []
    for size in _GROUP_SIZES:
        split = split | (rng.random(epcs) < 1 / size)
        groups.append(np.cumsum(split) - 1)
    shipment = groups[0]
    gap_before = _gaps(lot, shipment, sizes, rng)
    rank = np.arange(epcs) - np.searchsorted(lot, lot)
    serial = cat.lot_first_serial[lot] + gap_before[shipment] + rank
    last = np.r_[np.flatnonzero(np.diff(shipment)), epcs - 1]
    first_of_next = np.r_[serial[last[:-1] + 1], 0]
    gap_after = np.where(np.r_[lot[last[:-1]] == lot[last[:-1] + 1], False], first_of_next - serial[last] - 1, 0)
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
    )
    return items, groups


def _gaps(lot: Ints, shipment: Ints, sizes: Ints, rng: np.random.Generator) -> Ints:
    """Return the unshipped serials [S] of its lot below each shipment: a lot starts and ends where its block does."""
    first = np.r_[0, np.flatnonzero(np.diff(shipment)) + 1]
    of = lot[first]
    weight = rng.exponential(size=len(of))
    starts = np.r_[True, of[1:] != of[:-1]]
    weight[starts] = 0.0
    total = np.cumsum(weight)
    base = total[starts][np.searchsorted(np.flatnonzero(starts), np.arange(len(of)), side="right") - 1]
    span = np.bincount(of, weights=weight, minlength=len(sizes))[of]
    share = np.where(span > 0, (total - base) / np.where(span > 0, span, 1.0), 0.0)
    return np.round(np.minimum(share, 1.0) * (BLOCK_WIDTH - sizes[of])).astype(np.int64)


# ---------------------------------------------------------------- journeys


def _plan(cat: Catalogue, items: Items, groups: list[Ints], rng: np.random.Generator) -> Plan:
    n = len(items.lot)
    factory = cat.product_factory[items.product]
    place = np.full((n, 10), -1)
    place[:, 0] = _home(cat, 0)[factory]
    place[:, 1] = place[:, 2] = _home(cat, 1)[factory]
    transit, rare = np.zeros((n, 3), dtype=np.int64), np.zeros((n, 2), dtype=bool)
    for level, group in enumerate(groups):
        lane = _lanes(cat, items.product, place[:, 2 * level + 2], group, rng)
        place[:, 2 * level + 3] = place[:, 2 * level + 4] = np.where(lane >= 0, cat.lanes.target[lane], -1)
        transit[:, level] = _transit(cat, lane, group, rng)
        if level < 2:
            rare[:, level] = cat.rare[items.product, lane] & (lane >= 0)
    place[:, 9] = place[:, 8]
    shelf_batch = np.cumsum(np.r_[True, (np.diff(groups[2]) > 0) | (rng.random(n - 1) < 1 / 3)]) - 1
    dwell = np.stack(
        [
            (median * np.exp(spread * rng.standard_normal(int(group[-1]) + 1)))[group]
            for median, spread, group in zip(
                _DWELL_DAYS, _DWELL_SPREAD, [*groups, shelf_batch, np.arange(n)], strict=True
            )
        ],
        axis=1,
    )
    shipment, shipments = items.shipment, int(items.shipment[-1]) + 1
    rank = np.arange(n) - np.searchsorted(shipment, shipment)
    return Plan(
        place=place,
        start=cat.lot_day[items.lot] * DAY + rng.integers(8 * HOUR, 18 * HOUR, shipments)[shipment],
        packing=(MINUTE * rng.integers(10, 90, shipments))[shipment],
        dwell=dwell,
        transit=transit,
        offset=rank * rng.integers(0, 3, shipments)[shipment],
        rare=rare,
    )


def _home(cat: Catalogue, stage: int) -> Ints:
    """Return by factory code the place of that stage."""
    own = np.flatnonzero(cat.places.stage == stage)
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
    """Draw seconds on the road per group: the lane's minimum plus a log-normal, at most twice its maximum."""
    lanes = cat.lanes
    mean, std = lanes.mean - lanes.shortest, lanes.std
    sigma = np.sqrt(np.log1p((std / mean) ** 2))
    normal = rng.standard_normal(int(group[-1]) + 1)[group]
    hours = lanes.shortest[lane] + mean[lane] * np.exp(sigma[lane] * normal - sigma[lane] ** 2 / 2)
    seconds: Ints = np.ceil(np.minimum(hours, 2 * lanes.longest[lane]) * HOUR).astype(np.int64)
    return seconds


def _workday(time: Ints, opens: int, closes: int) -> Ints:
    """Squeeze the time of day into the hours of work."""
    return time // DAY * DAY + opens * HOUR + time % DAY * (closes - opens) // 24


def _clock(plan: Plan, pace: Floats) -> Ints:
    """Return the scan times [n, 10] if stays take ``pace`` [n] times the planned days, _NEVER if there is no step."""
    time = np.empty((len(plan.start), 10), dtype=np.int64)
    time[:, 0] = plan.start
    time[:, 1] = plan.start + plan.packing
    stay = np.maximum(plan.dwell * pace[:, None], 1.0) * DAY
    for level in range(4):
        arrived = time[:, 2 * level + 1]
        left = _workday(arrived + stay[:, level].astype(np.int64), 7, 22)
        left += DAY * ((left // DAY + 1) % 7 == 5)  # nothing leaves on Sundays; day 0 is a Tuesday
        time[:, 2 * level + 2] = left
        if level < 3:
            time[:, 2 * level + 3] = left + plan.transit[:, level]
    sold = _workday(time[:, 8] + stay[:, 4].astype(np.int64), 9, 22)
    time += plan.offset[:, None]
    time[:, 9] = np.maximum(sold, time[:, 8] + HOUR // 2)
    return np.where(plan.place >= 0, time, _NEVER)


def _journeys(cat: Catalogue, items: Items, plan: Plan, epcs: int) -> Scans:
    """Find the pace of each factory that fills its file, and return the scans within the window."""
    factory = cat.product_factory[items.product]
    share = np.array([FILE_SHARES[f] for f in FACTORIES], dtype=float)
    target = epcs * EVENTS_PER_EPC * _BASE_LOAD * share / share.sum()
    fast, slow = np.full(len(FACTORIES), 0.1), np.full(len(FACTORIES), 6.0)
    for _ in range(14):
        pace = (fast + slow) / 2
        seen = (_clock(plan, pace[factory]) <= END).sum(axis=1)
        too_many = np.bincount(factory, weights=seen) > target
        fast, slow = np.where(too_many, pace, fast), np.where(too_many, slow, pace)
    time = _clock(plan, slow[factory])
    items.made = time[:, 0].copy()
    item, step = np.nonzero(time <= END)
    scans = new_scans(item, step, plan.place[item, step], time[item, step])
    rare = np.zeros(time.shape, dtype=bool)
    rare[:, [3, 5]] = plan.rare
    scans.noise[rare[item, step]] = NOISES.index("rare_lane")
    return scans


# ---------------------------------------------------------------- harmless noise


def _add_noise(scans: Scans, rng: np.random.Generator) -> Scans:
    """Work in returns, late, missed and repeated scans, of which no scan takes part in two."""
    scans = _return_items(scans, rng)
    n = len(scans)
    ends = np.r_[scans.item[1:] != scans.item[:-1], True]
    wait = np.where(ends, END - scans.time, np.r_[np.diff(scans.time), 0])
    clean = scans.noise == 0
    draw = rng.random(n)
    # Only stays are shortened by a late upload: a late outbound scan would make the transit impossibly fast.
    # They are about half of all scans.
    late = clean & (draw < _SHARE_LATE * 2) & np.isin(scans.step, (1, 3, 5, 7)) & (wait > 2 * DAY)
    scans.time[late] += (rng.uniform(2, 16, n) * HOUR).astype(np.int64)[late]
    scans.noise[late] = NOISES.index("late_scan")
    clean_next = np.r_[clean[1:] & ~late[1:], False]
    missed = clean & ~ends & clean_next & (draw > 1 - _SHARE_MISSED)
    missed[1:] &= ~missed[:-1]
    scans.noise[1:][missed[:-1]] = NOISES.index("missed_scan")
    again = (scans.noise == 0) & ~missed & (draw > 0.5) & (draw < 0.5 + _SHARE_REPEATED) & (wait > HOUR // 2)
    again &= np.bincount(scans.item)[scans.item] < MAX_SCANS
    at = np.flatnonzero(again)
    at = at[np.r_[True, np.diff(scans.item[at]) > 0]]  # one per item
    repeated = scans.take(at)
    repeated.time += np.exp(rng.uniform(np.log(3), np.log(12 * MINUTE), len(at))).astype(np.int64)
    repeated.noise[:] = NOISES.index("re_read")
    return merged([scans.take(~missed), repeated])


def _return_items(scans: Scans, rng: np.random.Generator) -> Scans:
    """Send some unsold items back one level: an outbound scan where they lie, an inbound one where they came from."""
    ends = np.r_[scans.item[1:] != scans.item[:-1], True]
    back = np.flatnonzero(ends & np.isin(scans.step, (5, 7)) & (END - scans.time > 6 * DAY))
    # Some neighbours in a shipment go back together.
    split = (rng.random(len(back)) < 1 / 4) | (np.diff(scans.item[back], prepend=-2) > 1)
    team = np.cumsum(split)
    wanted = _SHARE_RETURNED * len(scans) / 2 / max(len(back), 1)
    chosen = rng.random(int(team.max(initial=0)) + 1) < wanted
    days, hours = rng.uniform(1, 4, len(chosen)), rng.uniform(2, 16, len(chosen))
    keep = chosen[team]
    back, team = back[keep], team[keep]
    left = _workday(scans.time[back] + (days[team] * DAY).astype(np.int64), 7, 22)
    arrived = left + (hours[team] * HOUR).astype(np.int64)
    item, step, noise = scans.item[back], scans.step[back], NOISES.index("return")
    return merged(
        [
            scans,
            new_scans(item, step + 1, scans.place[back], left, noise),
            new_scans(item, step - 2, scans.place[back - 1], arrived, noise),
        ]
    )


# ---------------------------------------------------------------- files

_STEPS = (
    "Factory",
    "WMS",
    "WMS",
    "Logistics_HUB",
    "Logistics_HUB",
    "W_Stock_Inbound",
    "W_Stock_Outbound",
    "R_Stock_Inbound",
    "R_Stock_Outbound",
    "POS_Sell",
)
_HUB_TYPES = (
    "_Factory",
    "_WMS_Inbound",
    "_WMS_Outbound",
    "_Logi_HUB_Inbound",
    "_Logi_HUB_Outbound",
    "_Stock_Inbound",
    "_Stock_Outbound",
    "_Stock_Inbound",
    "_Stock_Outbound",
    "_POS_Sell",
)
_EXPIRY_DAYS = 183


def _write(out: Path, scans: Scans, items: Items, cat: Catalogue) -> Summary:
    codes = _codes(items)
    by_code = np.empty(len(codes), dtype=np.int64)
    by_code[np.argsort(np.array(codes), kind="stable")] = np.arange(len(codes))
    file = cat.product_factory[items.product][scans.item]
    order = np.lexsort((scans.step, cat.places.location_id[scans.place], scans.time, by_code[scans.item], file))
    scans, file = scans.take(order), file[order]
    parts = _code_parts(codes, items)
    rows = np.bincount(file, minlength=len(FACTORIES))
    for code, name in enumerate(FACTORIES):
        table = _raw_table(scans.take(file == code), name, parts, items, cat)
        _write_tsv(table, out / f"{name}.csv")
    truth = _truth(scans)
    pa.parquet.write_table(truth, out / "truth.parquet")
    for name in ("locations.csv", "transitions.csv"):
        shutil.copyfile(DATA / name, out / name)
    names = [variant.name for variant in VARIANTS]
    variants = np.bincount(scans.variant[scans.variant >= 0], minlength=len(names))
    return Summary(
        epcs=len(np.unique(scans.item)),
        events=len(scans),
        events_by_file=dict(zip(FACTORIES, rows.tolist(), strict=True)),
        anomalous=int(scans.labels.any(axis=1).sum()),
        labelled=dict(zip(KINDS, scans.labels.sum(axis=0).tolist(), strict=True)),
        variants=dict(zip(names, variants.tolist(), strict=True)),
        noise=dict(zip(NOISES[1:], np.bincount(scans.noise, minlength=len(NOISES))[1:].tolist(), strict=True)),
    )


def _codes(items: Items) -> list[str]:
    """Return the printed code of each item."""
    return [items.malformed.get(i) or printed_code(items, i) for i in range(len(items.lot))]


def _code_parts(codes: list[str], items: Items) -> dict[str, pa.Array]:
    """Return the code and its parts by item as the raw files repeat them, a part that cannot be read as empty."""
    names = ("epc_header", "epc_company", "epc_product", "epc_lot", "epc_manufacture", "epc_serial")
    dates = np.array([int(date) for date in map(date_text, range(-30, 500))])
    columns = [np.ones_like(items.lot), items.company, items.number, items.lot_number, dates[items.day + 30]]
    parts = [column.astype(str).tolist() for column in (*columns, items.serial)]
    for item, code in items.malformed.items():
        printed = code.split(".")
        for column, part in zip(parts, printed if len(printed) == len(parts) else [""] * len(parts), strict=True):
            column[item] = str(int(part)) if part.isdigit() else part
    return {"epc_code": pa.array(codes)} | {name: pa.array(part) for name, part in zip(names, parts, strict=True)}


def _raw_table(scans: Scans, factory: str, parts: dict[str, pa.Array], items: Items, cat: Catalogue) -> pa.Table:
    """Return the rows of one file with the columns of the real files, in their order."""
    places = cat.places
    item, step, place = pa.array(scans.item), pa.array(scans.step), pa.array(scans.place)
    location = pa.array(places.location_id[scans.place])
    hub_types = pa.array([prefix + suffix for prefix in places.prefix for suffix in _HUB_TYPES])
    expiry = pa.array([date_text(day + _EXPIRY_DAYS) for day in cat.lot_day.tolist()])
    products = pa.array([f"Product {i + 1}" for i in range(len(cat.product_number))])
    return pa.table(
        {
            "scan_location": pa.array(places.name).take(place),
            "location_id": location,
            "hub_type": hub_types.take(pa.array(scans.place * len(_HUB_TYPES) + scans.step)),
            "business_step": pa.array(_STEPS).take(step),
            "event_type": pa.array(EVENT_TYPES).take(step),
            "operator_id": location,
            "device_id": location,
            **{name: values.take(item) for name, values in parts.items()},
            "product_name": products.take(pa.array(items.product[scans.item])),
            "event_time": pa.array(_EPOCH + scans.time),
            "manufacture_date": pa.array(_EPOCH + items.made[scans.item]),
            "expiry_date": expiry.take(pa.array(items.lot[scans.item])),
            "factory": pa.array([factory]).take(pa.array(np.zeros(len(scans), dtype=np.int64))),
        }
    )


def _write_tsv(table: pa.Table, path: Path) -> None:
    with path.open("wb") as file:
        file.write(("\t".join(table.column_names) + "\n").encode())  # pyarrow would put the names in quotes
        options = pa.csv.WriteOptions(include_header=False, delimiter="\t", quoting_style="none")
        pa.csv.write_csv(table, file, options)


def _truth(scans: Scans) -> pa.Table:
    """Return the truth in the order of the rows of the files: labels per kind, variant, difficulty and noise."""
    names, levels = [v.name for v in VARIANTS] + [""], [v.difficulty for v in VARIANTS] + [""]
    variant = pa.array(np.where(scans.variant < 0, len(VARIANTS), scans.variant))
    return pa.table(
        {"event_id": pa.array(np.arange(1, len(scans) + 1))}
        | {kind: pa.array(scans.labels[:, i]) for i, kind in enumerate(KINDS)}
        | {
            "variant": pa.array(names).take(variant),
            "difficulty": pa.array(levels).take(variant),
            "noise": pa.array(NOISES).take(pa.array(scans.noise)),
        }
    )
