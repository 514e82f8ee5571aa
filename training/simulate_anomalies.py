"""The five anomaly kinds, each in blatant and subtle variants, worked into a world of normal journeys.

A variant picks single items or teams of up to four neighbours of one shipment, never a whole shipment, edits their
scans and labels exactly the scans that are the evidence:

- epcFake: every scan of the forged code.
- epcDup: both scans of a conflicting pair; of two interleaved journeys all scans while they overlap; after a sale the
  impossible scans (a clone sold early: that sale and the next genuine scan).
- locErr: every scan at the wrong place.
- evtOrderErr: both scans of an exchanged pair; of a repeated inbound or outbound the repetition; of a clock that
  was rolled back the scan with the wrong time.
- jump: the scan that ends the impossible gap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import date, timedelta
from functools import cache
from typing import NamedTuple

import numpy as np

from service.events import DIRECTION_OF_TYPE, KINDS, STAGE_OF_TYPE
from training.catalogue import BLOCK_WIDTH, Bools, Catalogue, Floats, Ints

MINUTE, HOUR, DAY = 60, 3600, 86_400
END = 169 * DAY - 1
"""Last second of the observation window, counted from 2025-07-01 00:00:00 like every time here."""

MAX_SCANS = 10
SHARES = {"epcFake": 0.010, "epcDup": 0.010, "locErr": 0.030, "evtOrderErr": 0.010, "jump": 0.020}
"""Share of all events that carry each label."""

_TEAM_SIZES = np.array([1, 1, 1, 2, 3, 4])
_TWICE_BAD = 0.5  # share of the forged items that may suffer a second kind of anomaly


@dataclass(slots=True, eq=False)
class Scans:
    """N scans as columns, ordered by item and time."""

    item: Ints  # [N] row of Items
    step: Ints  # [N] event type code (service.events.EVENT_TYPES)
    place: Ints  # [N] place code (catalogue.Places)
    time: Ints  # [N] seconds after 2025-07-01 00:00:00
    noise: Ints  # [N] index into simulate.NOISES
    labels: Bools  # [N, 5] in the order of KINDS
    variant: Ints  # [N] index into VARIANTS, -1 if normal

    def __len__(self) -> int:
        return len(self.item)

    def take(self, index: Ints | Bools) -> Scans:
        """Return the scans at ``index`` (positions or a mask)."""
        return Scans(*(getattr(self, field.name)[index] for field in fields(self)))


@dataclass(slots=True, eq=False)
class Items:
    """n items (EPCs) as columns; the parts of the code are what is printed, true or forged."""

    lot: Ints  # [n] lot index of the catalogue
    product: Ints  # [n] product index of the catalogue
    shipment: Ints  # [n]
    made: Ints  # [n] time of aggregation, seconds after 2025-07-01 00:00:00
    serial_gap: Ints  # [n] serials that follow the item's shipment in the block and were never shipped
    shipment_end: Ints  # [n] last serial of the item's shipment
    company: Ints  # [n] printed company number
    number: Ints  # [n] printed product number
    lot_number: Ints  # [n] printed lot number
    day: Ints  # [n] printed date, days after 2025-07-01
    serial: Ints  # [n] printed serial
    malformed: dict[int, str]  # whole printed code of the items whose code does not follow the format


@cache
def date_text(day: int) -> str:
    """Return YYYYMMDD of the day so many days after 2025-07-01."""
    return f"{date(2025, 7, 1) + timedelta(day):%Y%m%d}"


def printed_code(items: Items, item: int) -> str:
    """Return the well-formed code of one item: header.company.product.lot.date.serial."""
    maker = f"001.{items.company[item]:07d}.{items.number[item]:07d}"
    return f"{maker}.{items.lot_number[item]:06d}.{date_text(int(items.day[item]))}.{items.serial[item]:09d}"


def merged(parts: list[Scans]) -> Scans:
    """Return all scans of ``parts`` ordered by item and time; ties keep the order of the parts."""
    names = [field.name for field in fields(Scans)]
    both = Scans(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})
    return both.take(np.lexsort((both.time, both.item)))


def new_scans(item: Ints, step: Ints | int, place: Ints, time: Ints, noise: int = 0) -> Scans:
    """Return normal scans with the given columns."""
    n = len(item)
    ones = np.ones(n, dtype=np.int64)
    return Scans(
        item=item,
        step=ones * step,
        place=place.copy(),
        time=time.copy(),
        noise=ones * noise,
        labels=np.zeros((n, len(KINDS)), dtype=bool),
        variant=-ones,
    )


class Workbench:
    """The scans of a world while anomalies are worked in, with the context that the variants need."""

    def __init__(self, scans: Scans, items: Items, cat: Catalogue, rng: np.random.Generator) -> None:
        self.scans, self.items, self.cat, self.rng = scans, items, cat, rng
        n, events = len(items.lot), len(scans)
        self.count = np.bincount(scans.item, minlength=n)
        self.index = np.arange(events)
        self.starts = np.r_[True, scans.item[1:] != scans.item[:-1]]  # [N] first scan of its item
        self.ends = np.r_[self.starts[1:], True]  # [N] last scan of its item
        self.gap = np.where(self.starts, 0, np.r_[0, np.diff(scans.time)])  # [N] seconds since the previous scan
        self.wait = np.where(self.ends, END - scans.time, np.r_[self.gap[1:], 0])  # [N] seconds until the next one
        before = np.r_[0, scans.step[:-1]]
        self.follows = ~self.starts & (scans.step == before + 1)  # [N] comes right after the step before its own
        self.followed = np.r_[self.follows[1:], False]  # [N] the next scan is the next step of the journey
        self.at = np.full((n, MAX_SCANS), -1)  # [n, 10] position of an item's scan by step
        self.at[scans.item, scans.step] = self.index
        self.inbound = DIRECTION_OF_TYPE[scans.step] > 0
        self.outbound = DIRECTION_OF_TYPE[scans.step] < 0
        self.km = np.where(self.starts, 0.0, cat.places.km[np.r_[0, scans.place[:-1]], scans.place])
        self.lane = np.where(self.starts, -1, cat.lanes.between[np.r_[0, scans.place[:-1]], scans.place])
        self.alive = np.ones(events, dtype=bool)
        self.free = np.ones(n, dtype=bool)  # [n] items without an anomaly
        self.forged = np.full(n, -1)  # [n] variant of a forged code
        self.extra: list[Scans] = []
        self.labelled = 0  # of the current kind
        self.code = 0  # current variant

    def items_of(self, pos: Ints) -> Ints:
        """Return the items of the scans at ``pos``."""
        return self.scans.item[pos]

    def pick(self, eligible: Bools, wanted: float) -> tuple[Ints, Ints]:
        """Take about ``wanted`` of the eligible scans, at most one per item: (positions, team of each)."""
        candidates = np.flatnonzero(eligible & self.free[self.scans.item])
        seeds = self.rng.permutation(candidates)[: int(np.ceil(wanted / _TEAM_SIZES.mean() * 1.5))]
        size = self.rng.choice(_TEAM_SIZES, len(seeds))
        mate = np.arange(_TEAM_SIZES.max())
        item = np.minimum(self.scans.item[seeds][:, None] + mate, len(self.count) - 1)  # [S, 4] neighbours in the lot
        pos = self.at[item, self.scans.step[seeds][:, None]]
        pos[:, 0] = seeds
        shipment = self.items.shipment[item]
        usable = (mate < size[:, None]) & (pos >= 0) & (shipment == shipment[:, :1]) & self.free[item] & eligible[pos]
        flat, team = pos[usable], np.nonzero(usable)[0]
        first = np.sort(np.unique(self.items_of(flat), return_index=True)[1])[: int(np.ceil(wanted))]
        self.free[self.items_of(flat[first])] = False
        return flat[first], team[first]

    def draw(self, team: Ints, low: float = 0.0, high: float = 1.0) -> Floats:
        """Return one uniform number per team, repeated for its members."""
        drawn = self.rng.uniform(low, high, int(team.max(initial=-1)) + 1)
        return np.asarray(drawn[team])

    def choose(self, allowed: Bools, team: Ints) -> Ints:
        """Return for each row of ``allowed`` [R, P] one of its places, the same for a team where its rows agree."""
        options = allowed.sum(axis=1)
        wanted = np.floor(self.draw(team) * options).astype(np.int64)
        return np.asarray(np.argmax(allowed.cumsum(axis=1) > wanted[:, None], axis=1))

    def room(self, scans: int) -> Bools:
        """Return [N]: the item of the scan can take so many more scans."""
        return np.asarray(self.count[self.scans.item] + scans <= MAX_SCANS)

    def label(self, pos: Ints) -> None:
        """Label the scans at ``pos`` with the current variant."""
        kind = KINDS.index(VARIANTS[self.code].kind)
        self.scans.labels[pos, kind] = True
        self.scans.variant[pos] = self.code
        self.labelled += len(pos)

    def add(self, item: Ints, step: Ints | int, place: Ints, time: Ints) -> None:
        """Add labelled scans."""
        rows = new_scans(item, step, place, time)
        rows.labels[:, KINDS.index(VARIANTS[self.code].kind)] = True
        rows.variant[:] = self.code
        self.count += np.bincount(item, minlength=len(self.count))
        self.labelled += len(item)
        self.extra.append(rows)

    def cut_after(self, pos: Ints) -> None:
        """Drop what comes after the scans at ``pos`` in their items."""
        last = np.full(len(self.count), len(self.index))
        last[self.items_of(pos)] = pos
        self.alive &= self.index <= last[self.scans.item]

    def delay_from(self, pos: Ints, seconds: Ints) -> None:
        """Move the scans at ``pos`` and all later ones of their items into the future."""
        start = np.full(len(self.count), len(self.index))
        start[self.items_of(pos)] = pos
        delay = np.zeros(len(self.count), dtype=np.int64)
        delay[self.items_of(pos)] = seconds
        self.scans.time += np.where(self.index >= start[self.scans.item], delay[self.scans.item], 0)

    def relocate(self, pos: Ints, place: Ints, late: Floats) -> None:
        """Move the scans at ``pos``, with those that follow at the same place, elsewhere; the journey ends there."""
        scans, last, here = self.scans, pos, np.ones(len(pos), dtype=bool)
        old = scans.place[pos].copy()
        for _ in range(3):
            scans.place[last[here]] = place[here]
            scans.noise[last[here]] = 0  # a rare lane that it should have taken
            self.label(last[here])
            ahead = np.minimum(last + 1, len(scans) - 1)
            here = here & ~self.ends[last] & (scans.place[ahead] == old)
            last = np.where(here, ahead, last)
        scans.time[pos] += (late * np.minimum(self.wait[pos], 12 * HOUR)).astype(np.int64)
        self.cut_after(last)

    def finished(self) -> Scans:
        """Return the edited scans within the window, in order."""
        scans = merged([self.scans.take(self.alive), *self.extra])
        forged = self.forged[scans.item]
        scans.labels[:, KINDS.index("epcFake")] = forged >= 0
        scans.variant = np.where(scans.variant < 0, forged, scans.variant)
        return scans.take(scans.time <= END)


def _secs(hours: Floats | float) -> Ints:
    return np.asarray(np.asarray(hours) * HOUR, dtype=np.int64)


# ---------------------------------------------------------------- epcFake


def _pick_codes(w: Workbench, quota: float, eligible: Bools | None = None) -> tuple[Ints, Ints]:
    """Pick first scans whose items together have about ``quota`` scans, and mark their codes as forged."""
    mask = w.starts if eligible is None else w.starts & eligible[w.scans.item]
    pos, team = w.pick(mask, quota / w.count.mean())
    item = w.items_of(pos)
    w.forged[item] = w.code
    w.labelled += int(w.count[item].sum())
    w.free[item] = w.rng.random(len(item)) < _TWICE_BAD
    return item, team


def _malformed(w: Workbench, quota: float) -> None:
    # Every way keeps the digits of the serial, so that no two forged codes become the same.
    ways: tuple[Callable[[str, str], str], ...] = (
        lambda code, _: code[:-9] + code[-9:].lstrip("0"),  # serial too short
        lambda code, digit: code + digit,  # serial too long
        lambda code, digit: code[:-9] + "X" + digit + code[-7:],  # letters
        lambda code, _: ".".join(code.split(".")[:3] + code.split(".")[4:]),  # no lot
        lambda code, _: ".".join("" if i == 4 else part for i, part in enumerate(code.split("."))),  # empty date
        lambda code, _: code.replace(".", "-"),  # wrong separator
    )
    item, _ = _pick_codes(w, quota)
    way, digit = w.rng.integers(len(ways), size=len(item)), w.rng.integers(10, size=len(item))
    for i, how, d in zip(item.tolist(), way.tolist(), digit.tolist(), strict=True):
        w.items.malformed[i] = ways[how](printed_code(w.items, i), str(d))


def _foreign_company(w: Workbench, quota: float) -> None:
    item, team = _pick_codes(w, quota)
    w.items.company[item] = 8_810_000 + (w.draw(team) * 80_000).astype(np.int64)


def _unknown_product(w: Workbench, quota: float) -> None:
    item, team = _pick_codes(w, quota)
    w.items.number[item] = 2_000_000 + (w.draw(team) * 7_000_000).astype(np.int64)


def _future_date(w: Workbench, quota: float) -> None:
    item, team = _pick_codes(w, quota)
    w.items.day[item] = w.items.made[item] // DAY + 20 + (w.draw(team) * 200).astype(np.int64)


def _other_company(w: Workbench, quota: float) -> None:
    item, team = _pick_codes(w, quota)
    companies = np.array(w.cat.companies)
    other = np.searchsorted(companies, w.items.company[item]) + 1 + (w.draw(team) < 0.5)
    w.items.company[item] = companies[other % len(companies)]


def _lot_of_other_product(w: Workbench, quota: float) -> None:
    item, team = _pick_codes(w, quota)
    products, lots = len(w.cat.product_number), len(w.cat.lot_number)
    shift = 1 + (w.draw(team) * (products - 1)).astype(np.int64)  # never a multiple of the number of products
    other = w.items.lot[item] + np.where(w.items.lot[item] + shift < lots, shift, -shift)
    w.items.lot_number[item] = w.cat.lot_number[other]


def _distinct_serials(w: Workbench, item: Ints, serial: Ints) -> None:
    """Print the serials; items that would share their code with another forged one stay one apart."""
    order = np.lexsort((serial, w.items.lot[item]))
    item, serial = item[order], serial[order]
    lot = w.items.lot[item]
    first = np.searchsorted(lot, lot)
    step = serial - np.arange(len(lot))
    for start in np.unique(first):  # strictly increasing serials within a lot
        mine = first == start
        serial[mine] = np.maximum.accumulate(step[mine]) + np.arange(len(lot))[mine]
    w.items.serial[item] = serial


def _serial_outside(w: Workbench, quota: float) -> None:
    item, team = _pick_codes(w, quota)
    start = w.cat.lot_first_serial[w.items.lot[item]]
    beyond = 300 + (w.draw(team) * 3_000).astype(np.int64)
    _distinct_serials(w, item, start + BLOCK_WIDTH + beyond)


def _serial_never_shipped(w: Workbench, quota: float) -> None:
    item, team = _pick_codes(w, quota, w.items.serial_gap >= 20)
    inside = (w.draw(team, 0.3, 0.7) * w.items.serial_gap[item]).astype(np.int64)
    _distinct_serials(w, item, w.items.shipment_end[item] + inside)


def _early_date(w: Workbench, quota: float) -> None:
    item, team = _pick_codes(w, quota)
    w.items.day[item] -= 1 + (w.draw(team) * 12).astype(np.int64)


def _first_seen_downstream(w: Workbench, quota: float) -> None:
    """A perfect code that starts at a wholesaler or retailer, weeks off the time at which its mates were there."""
    wholesaler = np.where(w.at[:, 5] >= 0, w.at[:, 5], w.at[:, 7])
    item, team = _pick_codes(w, quota * 2, (wholesaler >= 0) & (w.count >= 6))
    w.free[item] = False
    start = np.full(len(w.count), -1)
    start[item] = wholesaler[item]
    upstream = w.index < start[w.scans.item]
    w.labelled -= int(upstream.sum())
    w.alive &= ~upstream
    earliest = w.scans.time[wholesaler[item]]
    earlier = np.minimum(w.draw(team, 6, 30) * DAY, 0.8 * (earliest - w.items.made[item])).astype(np.int64)
    w.delay_from(wholesaler[item], -earlier)


# ---------------------------------------------------------------- epcDup


def _at_once_in_two_regions(w: Workbench, quota: float) -> None:
    s, places = w.scans, w.cat.places
    pos, team = w.pick(w.room(1) & (s.step >= 3), quota / 2)
    allowed = (places.stage == places.stage[s.place[pos]][:, None]) & (
        places.region != places.region[s.place[pos]][:, None]
    )
    w.add(w.items_of(pos), s.step[pos], w.choose(allowed, team), s.time[pos] + _secs(w.draw(team, 0.005, 0.15)))
    w.label(pos)


def _neighbours(w: Workbench, pos: Ints) -> Bools:
    """Return [len(pos), P]: the other places of the same stage in the region of the scan."""
    places, here = w.cat.places, w.scans.place[pos][:, None]
    other = np.arange(len(places.name)) != here
    return np.asarray((places.stage == places.stage[here]) & (places.region == places.region[here]) & other)


def _resold(w: Workbench, quota: float) -> None:
    s = w.scans
    pos, team = w.pick(w.room(1) & (s.step == 9) & w.ends & (w.wait > DAY), quota)
    time = s.time[pos] + (w.draw(team, 0.02, 0.9) * np.minimum(w.wait[pos], 30 * DAY)).astype(np.int64)
    w.add(w.items_of(pos), 9, w.choose(_neighbours(w, pos), team), time)


def _sold_while_upstream(w: Workbench, quota: float) -> None:
    s, places = w.scans, w.cat.places
    pos, team = w.pick(w.room(1) & w.inbound & (s.step >= 3) & w.followed & (w.wait > 2 * DAY), quota / 2)
    shop = (places.stage == 4) & (places.region == places.region[s.place[pos]][:, None])
    shop &= np.arange(len(places.name)) != s.place[pos][:, None]
    w.add(
        w.items_of(pos), 9, w.choose(shop, team), s.time[pos] + (w.draw(team, 0.1, 0.9) * w.wait[pos]).astype(np.int64)
    )
    w.label(pos + 1)


def _clone_nearby(w: Workbench, quota: float) -> None:
    s = w.scans
    pos, team = w.pick(w.room(1) & np.isin(s.step, (5, 7)) & (w.wait > 2 * DAY), quota / 2)
    time = s.time[pos] + _secs(w.draw(team, 2, 30))
    w.add(w.items_of(pos), s.step[pos], w.choose(_neighbours(w, pos), team), time)
    w.label(pos)


def _parallel_journey(w: Workbench, quota: float) -> None:
    """A clone passes through another wholesaler of the region with plausible timings of its own."""
    s, lanes = w.scans, w.cat.lanes
    has_outlets = np.bincount(lanes.origin, minlength=len(w.cat.places.name)) > 0
    pos, team = w.pick(w.room(3) & (s.step == 5) & (w.wait > 3 * DAY) & (s.time < END - 40 * DAY), quota / 3.4)
    allowed = _neighbours(w, pos)
    linked = allowed & has_outlets
    stock = w.choose(np.where(linked.any(axis=1, keepdims=True), linked, allowed), team)
    shop = w.choose((w.cat.places.stage == 4) & (w.cat.places.region == w.cat.places.region[stock][:, None]), team)
    arrived = s.time[pos] + _secs(w.draw(team, 3, 60))
    left = arrived + (w.draw(team, 3, 25) * DAY).astype(np.int64)
    sold = left + _secs(w.draw(team, 2, 9))
    item = w.items_of(pos)
    for step, place, time in ((5, stock, arrived), (6, stock, left), (7, shop, sold)):
        w.add(item, step, place, time)
    for ahead in (1, 2, 3, 4):  # the genuine scans while both journeys run
        other = np.minimum(pos + ahead, len(s) - 1)
        w.label(other[(s.item[other] == item) & (s.time[other] < sold) & (s.time[other] > arrived)])


# ---------------------------------------------------------------- locErr


def _stage_skipped(w: Workbench, quota: float) -> None:
    """Straight from the factory's warehouse to a retailer."""
    pos, team = w.pick(w.follows & (w.scans.step == 3), quota)
    w.scans.step[pos] = 7
    w.scans.noise[pos] = 0
    w.scans.place[pos] = w.choose(np.tile(w.cat.places.stage == 4, (len(pos), 1)), team)
    w.label(pos)
    w.cut_after(pos)


def _sent_up(w: Workbench, quota: float, origins: tuple[int, ...], step: int) -> None:
    """After one of the steps ``origins`` an inbound scan two or more levels up, which no return does."""
    s = w.scans
    pos, team = w.pick(w.room(1) & w.ends & np.isin(s.step, origins) & (w.wait > 2 * DAY), quota)
    time = s.time[pos] + (w.draw(team, 0.02, 0.5) * np.minimum(w.wait[pos], 20 * DAY)).astype(np.int64)
    above = w.cat.places.stage == STAGE_OF_TYPE[step]
    w.add(w.items_of(pos), step, w.choose(np.tile(above, (len(pos), 1)), team), time)


def _back_to_hub(w: Workbench, quota: float) -> None:
    _sent_up(w, quota, origins=(7, 8), step=3)


def _back_to_warehouse(w: Workbench, quota: float) -> None:
    _sent_up(w, quota, origins=(5, 6, 7, 8), step=1)


def _used(w: Workbench) -> Bools:
    """Return [15, P]: places that lanes of the product's usual flow lead to."""
    used = np.zeros((len(w.cat.product_number), len(w.cat.places.name)), dtype=bool)
    product, lane = np.nonzero(w.cat.flow)
    used[product, w.cat.lanes.target[lane]] = True
    return used


def _wrong_region(w: Workbench, quota: float) -> None:
    places = w.cat.places
    stocks = _used(w) & (places.stage == 3)  # [15, P]
    regions = (stocks[:, :, None] & (places.region[:, None] == np.arange(4))).any(axis=1)  # [15, 4]
    never = (places.stage == 3) & ~regions[:, places.region]
    pos, team = w.pick(w.follows & (w.scans.step == 5), quota / 1.6)
    w.relocate(pos, w.choose(never[w.items.product[w.items_of(pos)]], team), w.draw(team, 0, 0.3))


def _wrong_hub(w: Workbench, quota: float) -> None:
    never = (w.cat.places.stage == 2) & ~_used(w)
    eligible = w.follows & (w.scans.step == 3) & never.any(axis=1)[w.items.product[w.scans.item]]
    pos, team = w.pick(eligible, quota / 1.6)
    w.relocate(pos, w.choose(never[w.items.product[w.items_of(pos)]], team), w.draw(team, 0, 0.3))


def _lane_of_other_product(w: Workbench, quota: float) -> None:
    lanes, n = w.cat.lanes, len(w.cat.places.name)
    borrowed = np.zeros((len(w.cat.product_number), n, n), dtype=bool)  # [15, from, to]
    product, lane = np.nonzero(w.cat.flow == 0)
    borrowed[product, lanes.origin[lane], lanes.target[lane]] = True
    borrowed &= w.cat.places.stage == 3
    origin = np.r_[0, w.scans.place[:-1]]
    eligible = w.follows & (w.scans.step == 5)
    possible: Bools = np.any(borrowed, axis=2)  # [15, from]
    eligible &= possible[w.items.product[w.scans.item], origin]
    pos, team = w.pick(eligible, quota / 1.6)
    allowed = borrowed[w.items.product[w.items_of(pos)], origin[pos]]
    w.relocate(pos, w.choose(allowed, team), w.draw(team, 0, 0.3))


def _retailer_over_the_border(w: Workbench, quota: float) -> None:
    """One of the three nearest retailers of other regions: close by, but on no lane of the wholesaler."""
    places = w.cat.places
    foreign = (places.stage == 4) & (places.region != places.region[:, None])
    km = np.where(foreign, places.km, np.inf)
    near = km <= np.sort(km, axis=1)[:, 2:3]
    pos, team = w.pick(w.follows & (w.scans.step == 7), quota / 1.4)
    w.relocate(pos, w.choose(near[w.scans.place[pos]], team), w.draw(team, 0, 0.3))


# ---------------------------------------------------------------- evtOrderErr


def _out_before_in(w: Workbench, quota: float) -> None:
    arrived_by_lane = np.r_[False, (w.gap > 30 * MINUTE)[:-1] & w.inbound[:-1] & w.follows[:-1]]
    pos, team = w.pick(w.outbound & w.follows & arrived_by_lane, quota / 2)
    early = (w.draw(team, 0.1, 0.8) * w.gap[pos - 1]).astype(np.int64)
    w.scans.time[pos] = w.scans.time[pos - 1] - early
    w.label(pos)
    w.label(pos - 1)


def _double_in(w: Workbench, quota: float) -> None:
    s = w.scans
    pos, team = w.pick(w.room(1) & w.inbound & (w.wait > 2 * DAY), quota)
    time = s.time[pos] + np.maximum(5 * HOUR, w.draw(team, 0.02, 0.5) * np.minimum(w.wait[pos], 20 * DAY)).astype(
        np.int64
    )
    w.add(w.items_of(pos), s.step[pos], s.place[pos], time)


def _double_out(w: Workbench, quota: float) -> None:
    s = w.scans
    pos, team = w.pick(w.room(1) & w.outbound & w.followed & (w.wait > 3 * HOUR) & (w.wait < 2 * DAY), quota)
    time = s.time[pos] + (w.draw(team, 0.3, 0.8) * w.wait[pos]).astype(np.int64)
    w.add(w.items_of(pos), s.step[pos], s.place[pos], time)


def _swapped_pair(w: Workbench, quota: float) -> None:
    s = w.scans
    pos, _ = w.pick(w.inbound & w.follows & (s.step >= 3), quota / 2)
    s.time[pos], s.time[pos - 1] = s.time[pos - 1].copy(), s.time[pos].copy()
    w.label(pos)
    w.label(pos - 1)


def _clock_rolled_back(w: Workbench, quota: float) -> None:
    s = w.scans
    pos, team = w.pick(w.inbound & w.follows & (s.step >= 3) & np.r_[False, w.gap[:-1] > 8 * HOUR], quota)
    s.time[pos] = s.time[pos - 1] - _secs(w.draw(team, 0.2, 6))
    w.label(pos)


# ---------------------------------------------------------------- jump


def _on_lane(w: Workbench) -> Bools:
    return np.asarray(w.inbound & w.follows & (w.lane >= 0))


def _teleport(w: Workbench, quota: float) -> None:
    pos, team = w.pick(_on_lane(w) & (w.km > 60), quota)
    w.scans.time[pos] = w.scans.time[pos - 1] + _secs(w.draw(team, 0.02, 0.2))
    w.label(pos)


def _below_minimum(w: Workbench, quota: float) -> None:
    shortest = w.cat.lanes.shortest[w.lane]
    pos, team = w.pick(_on_lane(w) & (w.km < 110 * 0.45 * shortest), quota)  # never faster than 110 km/h
    w.scans.time[pos] = w.scans.time[pos - 1] + _secs(w.draw(team, 0.45, 0.85) * shortest[pos])
    w.label(pos)


def _stall(w: Workbench, quota: float, factor: tuple[float, float], least: tuple[float, float]) -> None:
    """Stay ``factor`` times as long as the mates, and at least so many days longer; later scans move along."""
    longest = np.maximum(w.gap * (factor[1] - 1), least[1] * DAY)
    eligible = w.outbound & w.follows & (w.scans.time + longest < END)
    pos, team = w.pick(eligible, quota)
    more = np.maximum(w.gap[pos] * (w.draw(team, *factor) - 1), w.draw(team, *least) * DAY)
    w.delay_from(pos, more.astype(np.int64))
    w.label(pos)


def _stalled_for_months(w: Workbench, quota: float) -> None:
    _stall(w, quota, factor=(1, 1), least=(50, 75))


def _stalled_behind_mates(w: Workbench, quota: float) -> None:
    _stall(w, quota, factor=(2, 3), least=(12, 25))


def _slow_transit(w: Workbench, quota: float) -> None:
    """Days on the road of a few hours that the mates took in normal time."""
    pos, team = w.pick(_on_lane(w) & (w.scans.time < END - 6 * DAY), quota)
    w.delay_from(pos, _secs(w.draw(team, 40, 130)))
    w.label(pos)


class Variant(NamedTuple):
    """One way in which an anomaly shows."""

    name: str
    kind: str
    difficulty: str
    work_in: Callable[[Workbench, float], None]  # (workbench, events to label)


# Within a kind the variants with the fewest candidates come first: what they cannot fill, the later ones do. Forged
# codes come before everything else, so that a forged item may suffer a second kind.
VARIANTS = (
    Variant("first_seen_downstream", "epcFake", "subtle", _first_seen_downstream),
    Variant("serial_never_shipped", "epcFake", "subtle", _serial_never_shipped),
    Variant("malformed", "epcFake", "blatant", _malformed),
    Variant("foreign_company", "epcFake", "blatant", _foreign_company),
    Variant("unknown_product", "epcFake", "blatant", _unknown_product),
    Variant("future_date", "epcFake", "blatant", _future_date),
    Variant("other_company", "epcFake", "subtle", _other_company),
    Variant("lot_of_other_product", "epcFake", "subtle", _lot_of_other_product),
    Variant("serial_outside_block", "epcFake", "subtle", _serial_outside),
    Variant("early_date", "epcFake", "subtle", _early_date),
    Variant("resold", "epcDup", "blatant", _resold),
    Variant("sold_while_upstream", "epcDup", "blatant", _sold_while_upstream),
    Variant("two_regions_at_once", "epcDup", "blatant", _at_once_in_two_regions),
    Variant("parallel_journey", "epcDup", "subtle", _parallel_journey),
    Variant("clone_nearby", "epcDup", "subtle", _clone_nearby),
    Variant("stalled_for_months", "jump", "blatant", _stalled_for_months),
    Variant("stalled_behind_mates", "jump", "subtle", _stalled_behind_mates),
    Variant("teleport", "jump", "blatant", _teleport),
    Variant("below_route_minimum", "jump", "subtle", _below_minimum),
    Variant("slow_transit", "jump", "subtle", _slow_transit),
    Variant("out_before_in", "evtOrderErr", "blatant", _out_before_in),
    Variant("double_in", "evtOrderErr", "blatant", _double_in),
    Variant("double_out", "evtOrderErr", "subtle", _double_out),
    Variant("swapped_pair", "evtOrderErr", "subtle", _swapped_pair),
    Variant("clock_rolled_back", "evtOrderErr", "subtle", _clock_rolled_back),
    Variant("lane_of_other_product", "locErr", "subtle", _lane_of_other_product),
    Variant("back_to_hub", "locErr", "blatant", _back_to_hub),
    Variant("back_to_warehouse", "locErr", "blatant", _back_to_warehouse),
    Variant("retailer_over_the_border", "locErr", "subtle", _retailer_over_the_border),
    Variant("wrong_region", "locErr", "subtle", _wrong_region),
    Variant("stage_skipped", "locErr", "blatant", _stage_skipped),
    Variant("wrong_hub", "locErr", "subtle", _wrong_hub),
)


def work_in_anomalies(scans: Scans, items: Items, cat: Catalogue, rng: np.random.Generator) -> Scans:
    """Return the scans with all anomalies worked in and labelled; forged codes are printed into ``items``."""
    bench = Workbench(scans, items, cat, rng)
    for kind in dict.fromkeys(variant.kind for variant in VARIANTS):
        todo = [code for code, variant in enumerate(VARIANTS) if variant.kind == kind]
        bench.labelled = 0
        for rank, code in enumerate(todo):
            bench.code = code
            missing = SHARES[kind] * len(scans) - bench.labelled
            VARIANTS[code].work_in(bench, max(missing, 0) / (len(todo) - rank))
    return bench.finished()
