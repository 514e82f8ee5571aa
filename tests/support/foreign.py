"""A world of another simulator: other places, products, time span and file formats; shares no code with training.

Run it as ``python -m tests.support.foreign DIR EPCS SEED``.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_MOVES = [f"{stock}_{way}" for stock in ("WMS", "HUB", "W_Stock", "R_Stock") for way in ("Inbound", "Outbound")]
TYPES = ("Aggregation", *_MOVES, "POS_Sell")
STEPS = ("Factory", "WMS", "WMS", "Logistics_HUB", "Logistics_HUB", *TYPES[5:])
LEVEL = np.array([0, 1, 1, 2, 2, 3, 3, 4, 4, 4])  # of the place of each step
KINDS = ("epcFake", "epcDup", "locErr", "evtOrderErr", "jump")
FAKE, DUP, LOC, ORDER, JUMP = range(5)
CITIES = (("Hamburg", 53.55, 9.99), ("Köln", 50.94, 6.96), ("München", 48.14, 11.58))  # one per region
LEVELS = (("Werk", 1), ("Werkslager", 1), ("Verteilzentrum", 1), ("Großhandel", 2), ("Filiale", 4))  # places per region
FILES = ("a_hamburg.csv", "b_koeln.tsv", "c_muenchen.csv")  # by region of the factory
COMPANIES = np.array([4012345, 4054321, 4077777, 4054321, 4012345, 4077777])  # by product
SELLS = np.array([[0, 1], [1, 1], [2, 0], [0, 0], [1, 2], [2, 2]])  # regions of each product
START, END_S = pd.Timestamp("2026-02-01"), 119 * 86_400
LOT, HOUR, DAY = 120, 3_600.0, 86_400.0
MALFORMED_PER_FILE = 4
"""Rows of each file that cannot be read: too few fields, too many, no time, no location."""

_PLACE_ROWS = [
    (901 + 10 * level + count * region + n, f"{name} {city} {n + 1}", region, level, lat + 0.04 * n, lon - 0.03 * n)
    for region, (city, lat, lon) in enumerate(CITIES)
    for level, (name, count) in enumerate(LEVELS)
    for n in range(count)
]
PLACES = pd.DataFrame(_PLACE_ROWS, columns=["location_id", "scan_location", "region", "level", "lat", "lon"])
UNMAPPED = ("Großhandel Köln 2",)
"""Places that locations.csv lacks, as the real one does."""

Ints = NDArray[np.int64]


@dataclass
class World:
    """Items by rows, the ten steps of a journey by columns; scans beside the journey are in ``extra``."""

    rng: np.random.Generator
    product: Ints  # [items]
    code: list[str]
    place: Ints  # [items, 10] row of PLACES
    time_s: NDArray[np.float64]  # [items, 10] after START
    seen: NDArray[np.bool_]  # [items, 10]
    labels: NDArray[np.bool_]  # [items, 10, 5]
    free: NDArray[np.bool_]  # [items] has no anomaly yet
    extra: list[pd.DataFrame] = field(default_factory=list)

    def pick(self, step: int, share: float, fits: NDArray[np.bool_] | bool = True) -> Ints:
        """Return ``share`` of the items, untouched ones that were scanned at ``step`` and whose next scan may come."""
        able = np.flatnonzero(self.free & (self.time_s[:, step] < END_S) & fits)
        items = self.rng.permutation(able)[: round(share * len(self.free))]
        self.free[items] = False
        return items

    def add(self, items: Ints, step: int, place: Ints, time_s: NDArray[np.float64], kind: int | None) -> None:
        """Scan ``items`` once more."""
        scans = pd.DataFrame({"item": items, "step": step, "place": place, "time_s": time_s})
        self.extra.append(scans.assign(**{name: kind == number for number, name in enumerate(KINDS)}))

    def draw_place(self, region: Ints, level: int) -> Ints:
        """Return a random place of the level in each region."""
        table = np.array([PLACES.index[(PLACES.region == r) & (PLACES.level == level)] for r in range(len(CITIES))])
        chosen: Ints = table[region, self.rng.integers(0, table.shape[1], len(region))]
        return chosen


def journeys(epcs: int, rng: np.random.Generator) -> World:
    """Return normal journeys: lots of 120 leave the factory, in ever smaller shipments further down."""
    item = np.arange(epcs)
    product = rng.integers(0, len(SELLS), epcs // LOT + 1)[item // LOT]
    day = rng.integers(0, 112, epcs // LOT + 1)[item // LOT]
    serial = 700_000 + item // LOT * 1_000 + item % LOT
    dates = (START + pd.to_timedelta(day, unit="D")).strftime("%Y%m%d")
    parts = zip(COMPANIES[product], 5_550_000 + 7 * product, 30_000 + item // LOT, dates, serial, strict=True)
    code = [f"001.{company}.{number}.{lot:06d}.{date}.{n:09d}" for company, number, lot, date, n in parts]
    world = World(
        rng, product, code, np.zeros((epcs, 10), np.int64), np.zeros((epcs, 10)), np.ones((epcs, 10), np.bool_),
        np.zeros((epcs, 10, 5), np.bool_), np.ones(epcs, np.bool_),
    )  # fmt: skip
    shipment = [item // size for size in (LOT, LOT, 40, 40, 20, 20, 10, 10, 10, 1)]  # by step
    days_at = {1: (0.02, 0.05), 2: (4, 32), 4: (3, 28), 6: (4, 40), 8: (1, 7), 9: (0.1, 40)}
    time = day * DAY + rng.uniform(7, 16, epcs // LOT + 1)[item // LOT] * HOUR
    region = product % 3
    for step, group in enumerate(shipment):
        before, shipments = world.place[:, step - 1], group[-1] + 1
        if step == 3:  # the hub of a region that sells the product
            region = SELLS[product, rng.integers(0, 2, shipments)[group]]
        new = world.draw_place(region, LEVEL[step])[np.unique(group, return_index=True)[1]][group]
        world.place[:, step] = new if step in {0, 1, 3, 5, 7} else before  # the others stay where they are
        if step in days_at:
            time = time + rng.uniform(*days_at[step], shipments)[group] * DAY
        elif step:
            time = time + (1 + km(before, new) / 60) * HOUR * rng.uniform(0.8, 1.5, shipments)[group]
        world.time_s[:, step] = time + rng.uniform(0, 60, epcs)
    return world


def km(a: Ints, b: Ints) -> NDArray[np.float64]:
    """Return the distance between places, on a flat map."""
    lat, lon = PLACES.lat.to_numpy(), PLACES.lon.to_numpy()
    return np.hypot((lat[a] - lat[b]) * 111, (lon[a] - lon[b]) * 70)


def anomalies(world: World) -> None:
    """Work in two simple versions of each kind (four of forged codes)."""
    rng, place, time, seen, labels = world.rng, world.place, world.time_s, world.seen, world.labels
    for number, item in enumerate(world.pick(0, 0.012)):
        header, company, product, lot, date, serial = world.code[item].split(".")
        later = str(int(date) + 10_000)  # a year
        world.code[item] = (
            f"{header}-{company}.{product}.{serial}",
            f"001.9999999.{product}.{lot}.{date}.{serial}",
            f"001.{company}.{product}.{lot}.{later}.{serial}",
            f"001.{company}.{product}.{lot}.{date}.9{serial[1:]}",
        )[number % 4]
        labels[item, :, FAKE] = True
    region = PLACES.region.to_numpy()
    for step in (3, 5, 7):  # a clone minutes later in another region
        items = world.pick(step, 0.01)
        elsewhere = world.draw_place((region[place[items, step]] + 1) % 3, LEVEL[step])
        world.add(items, step, elsewhere, time[items, step] + rng.uniform(120, 900, len(items)), DUP)
    items = world.pick(9, 0.03)  # sold again
    shop = world.draw_place(region[place[items, 9]], 4)
    world.add(items, 9, shop, time[items, 9] + rng.uniform(1, 9, len(items)) * DAY, DUP)
    items = world.pick(5, 0.025)  # diverted to a region that sells none
    first, second = SELLS[world.product[items]].T
    unsold = np.where(first == second, (first + 1) % 3, 3 - first - second)
    for step in (5, 7):
        place[items, step] = world.draw_place(unsold, LEVEL[step])
        place[items, step + 1 : step + 3] = place[items, step, None]
    place[items, 6] = place[items, 5]
    labels[items, 5:, LOC] = True
    items = world.pick(7, 0.025)  # straight from the hub to the shop
    seen[items, 5:7] = False
    labels[items, 7, LOC] = True
    for step in (3, 5):
        items = world.pick(step + 1, 0.008)  # out before in
        time[items[:, None], [step, step + 1]] = time[items[:, None], [step + 1, step]]
        labels[items, step : step + 2, ORDER] = True
        items = world.pick(step + 1, 0.015, time[:, step + 1] - time[:, step] > 2 * DAY)  # in twice
        world.add(items, step, place[items, step], time[items, step] + rng.uniform(6, 40, len(items)) * HOUR, ORDER)
    items = world.pick(3, 0.03, km(place[:, 2], place[:, 3]) > 100)  # there in no time
    time[items, 3] = time[items, 2] + rng.uniform(60, 600, len(items))
    labels[items, 3, JUMP] = True
    items = world.pick(4, 0.03, time[:, 4] < END_S - 45 * DAY)  # left lying
    time[items, 4:] += rng.uniform(30, 44, (len(items), 1)) * DAY
    labels[items, 4, JUMP] = True


def noise(world: World) -> None:
    """Read some scans of the normal items late, never, or twice."""
    time, size = world.time_s, world.time_s.shape
    draw = np.where(world.free[:, None], world.rng.random(size), 0.5)
    inbound = np.isin(np.arange(10), (1, 3, 5, 7)) & (np.diff(time, append=np.inf) > DAY)
    time += np.where((draw < 0.02) & inbound, world.rng.uniform(1, 10, size) * HOUR, 0.0)
    world.seen &= draw < 0.99
    items, steps = np.nonzero((draw > 0.3) & (draw < 0.312) & world.seen)
    for step in range(10):
        twice = items[steps == step]
        world.add(
            twice, step, world.place[twice, step], time[twice, step] + world.rng.uniform(5, 600, len(twice)), None
        )


def to_rows(world: World) -> pd.DataFrame:
    """Return all scans within the time span with the raw columns, the file of each and its labels."""
    item, step = np.nonzero(world.seen)
    scans = pd.DataFrame({"item": item, "step": step})
    scans = scans.assign(place=world.place[item, step], time_s=world.time_s[item, step])
    scans = scans.assign(**{kind: world.labels[item, step, number] for number, kind in enumerate(KINDS)})
    scans = pd.concat([scans, *world.extra], ignore_index=True)
    scans = scans[scans.time_s < END_S].sort_values("time_s", kind="stable", ignore_index=True)
    places = PLACES.iloc[scans.place].reset_index(drop=True)
    return scans.assign(
        file=world.product[scans.item] % 3,
        epc_code=np.array(world.code, dtype=object)[scans["item"]],
        location_id=places.location_id,
        scan_location=places.scan_location,
        business_step=np.array(STEPS)[scans["step"]],
        event_type=np.array(TYPES)[scans["step"]],
        time=START + pd.to_timedelta(scans.time_s.astype(np.int64), unit="s"),
        shelf=[f"Regal {n % 40}, links" for n in range(len(scans))],  # an extra column, with a comma in it
    )


def write_raw(rows: pd.DataFrame, number: int, path: Path) -> None:
    """Write one raw file; each has its own separator, columns and way to write a time."""
    columns = [
        ["event_time", "epc_code", "event_type", "business_step", "location_id", "shelf", "scan_location"],
        ["scan_location", "location_id", "business_step", "event_type", "shelf", "epc_code", "event_time"],
        ["epc_code", "location_id", "event_time", "event_type", "business_step"],
    ][number]
    shift = pd.Timedelta(hours=1 if number == 2 else 0)
    form = ("%Y-%m-%d %H:%M:%S", "%Y/%m/%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S+01:00")[number]
    separator = "\t" if path.suffix == ".tsv" else ","
    rows = rows.assign(event_time=(rows.time + shift).dt.strftime(form), location_id=rows.location_id.astype(str))
    bad = np.linspace(1, len(rows) - 1, MALFORMED_PER_FILE).astype(int)
    rows.iloc[bad[2], rows.columns.get_loc("event_time")] = "yesterday"
    rows.iloc[bad[3], rows.columns.get_loc("location_id")] = "?"
    rows.iloc[bad[3], rows.columns.get_loc("scan_location")] = "?"
    lines = rows[columns].to_csv(index=False, sep=separator).splitlines()
    lines[1 + bad[0]] = lines[1 + bad[0]].partition(separator)[0]
    lines[1 + bad[1]] += f"{separator}one{separator}more"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8-sig" if number == 1 else "utf-8")


def write_masters(world: World, folder: Path) -> None:
    """Write locations.csv and transitions.csv, the latter as the journeys were."""
    known = PLACES[~PLACES.scan_location.isin(UNMAPPED)].rename(columns={"lat": "Latitude", "lon": "Longitude"})
    known = known.assign(seq=range(1, len(known) + 1), factory_locations="")
    columns = ["seq", "location_id", "scan_location", "Latitude", "Longitude", "factory_locations"]
    known[columns].to_csv(folder / "locations.csv", index=False)
    name = PLACES.scan_location.to_numpy()
    lanes = pd.concat(
        pd.DataFrame({
            "from_scan_location": name[world.place[:, step - 1]],
            "to_scan_location": name[world.place[:, step]],
            "time_taken_hours": (world.time_s[:, step] - world.time_s[:, step - 1]) / HOUR,
        })[world.time_s[:, step] < END_S]
        for step in (3, 5, 7)
    )  # fmt: skip
    table = lanes.groupby(["from_scan_location", "to_scan_location"]).time_taken_hours.agg(
        ["mean", "std", "min", "max", "count"]
    )
    table.fillna(0.0).add_prefix("time_taken_hours_").reset_index().to_csv(folder / "transitions.csv", index=False)


def write_foreign_world(folder: Path, epcs: int, seed: int) -> Path:
    """Write a world of ``epcs`` items (1,000 or more) to ``folder`` and return its truth file."""
    folder.mkdir(parents=True, exist_ok=True)
    world = journeys(epcs, np.random.default_rng(seed))
    write_masters(world, folder)
    anomalies(world)
    noise(world)
    rows = to_rows(world)
    rows = rows.sort_values("file", kind="stable", ignore_index=True)
    for number, name in enumerate(FILES):
        write_raw(rows[rows.file == number], number, folder / name)
    truth = rows[list(KINDS)].astype(int)
    truth.insert(0, "event_id", np.arange(1, len(rows) + 1))
    truth.to_csv(folder / "truth.csv", index=False)
    return folder / "truth.csv"


if __name__ == "__main__":
    print(write_foreign_world(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
