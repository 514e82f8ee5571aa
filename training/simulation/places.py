"""locErr: items where they do not belong."""

from __future__ import annotations

import numpy as np

from service.events.vocabulary import LEVEL_OF_TYPE
from training.simulation.catalogue import Bools
from training.simulation.scans import DAY
from training.simulation.workbench import Workbench


def stage_skipped(w: Workbench, quota: float) -> None:
    """Straight from the factory's warehouse to a retailer."""
    first = w.cat.habits.after(2)
    pos, team = w.pick(w.follows & (w.scans.step == first) & (first < 7), quota)
    w.scans.step[pos] = 7
    w.scans.noise[pos] = 0
    w.scans.place[pos] = w.choose(np.tile(w.cat.places.level == 4, (len(pos), 1)), team)
    w.label(pos)
    w.cut_after(pos)


def _sent_up(w: Workbench, quota: float, origins: tuple[int, ...], step: int) -> None:
    """After one of the steps ``origins`` an inbound scan two or more levels up, which no return does."""
    s = w.scans
    lowest = [origin for origin in origins if sum(step < each <= origin for each in w.cat.habits.inbound) > 1]
    pos, team = w.pick(w.room(1) & w.ends & np.isin(s.step, lowest) & (w.wait > 2 * DAY) & w.has(step), quota)
    time = s.time[pos] + (w.draw(team, 0.02, 0.5) * np.minimum(w.wait[pos], 20 * DAY)).astype(np.int64)
    above = w.cat.places.level == LEVEL_OF_TYPE[step]
    w.add(w.items_of(pos), step, w.choose(np.tile(above, (len(pos), 1)), team), time)


def back_to_hub(w: Workbench, quota: float) -> None:
    _sent_up(w, quota, origins=(7, 8), step=3)


def back_to_warehouse(w: Workbench, quota: float) -> None:
    _sent_up(w, quota, origins=(5, 6, 7, 8), step=1)


def _used(w: Workbench) -> Bools:
    """Return [Q, P]: places that lanes of the product's usual flow lead to."""
    used = np.zeros((len(w.cat.product_number), len(w.cat.places.name)), dtype=bool)
    product, lane = np.nonzero(w.cat.flow)
    used[product, w.cat.lanes.target[lane]] = True
    return used


def wrong_region(w: Workbench, quota: float) -> None:
    places = w.cat.places
    stocks = _used(w) & (places.level == 3)  # [Q, P]
    regions = (stocks[:, :, None] & (places.region[:, None] == np.arange(w.regions))).any(axis=1)  # [Q, regions]
    never = (places.level == 3) & ~regions[:, places.region]
    eligible = w.follows & (w.scans.step == 5) & never.any(axis=1)[w.items.product[w.scans.item]]
    pos, team = w.pick(eligible, quota / 1.6)
    w.relocate(pos, w.choose(never[w.items.product[w.items_of(pos)]], team), w.draw(team, 0, 0.3))


def wrong_hub(w: Workbench, quota: float) -> None:
    never = (w.cat.places.level == 2) & ~_used(w)
    eligible = w.follows & (w.scans.step == 3) & never.any(axis=1)[w.items.product[w.scans.item]]
    pos, team = w.pick(eligible, quota / 1.6)
    w.relocate(pos, w.choose(never[w.items.product[w.items_of(pos)]], team), w.draw(team, 0, 0.3))


def lane_of_other_product(w: Workbench, quota: float) -> None:
    lanes, n = w.cat.lanes, len(w.cat.places.name)
    borrowed = np.zeros((len(w.cat.product_number), n, n), dtype=bool)  # [Q, from, to]
    product, lane = np.nonzero(w.cat.flow == 0)
    borrowed[product, lanes.origin[lane], lanes.target[lane]] = True
    borrowed &= w.cat.places.level == 3
    origin = np.r_[0, w.scans.place[:-1]]
    eligible = w.follows & (w.scans.step == 5)
    possible: Bools = np.any(borrowed, axis=2)  # [Q, from]
    eligible &= possible[w.items.product[w.scans.item], origin]
    pos, team = w.pick(eligible, quota / 1.6)
    allowed = borrowed[w.items.product[w.items_of(pos)], origin[pos]]
    w.relocate(pos, w.choose(allowed, team), w.draw(team, 0, 0.3))


def retailer_over_the_border(w: Workbench, quota: float) -> None:
    """One of the three nearest retailers of other regions: close by, but on no lane of the wholesaler."""
    places = w.cat.places
    foreign = (places.level == 4) & (places.region != places.region[:, None])
    km = np.where(foreign, places.km, np.inf)
    near = foreign & (km <= np.sort(km, axis=1)[:, 2:3])
    pos, team = w.pick(w.follows & (w.scans.step == 7), quota / 1.4)
    w.relocate(pos, w.choose(near[w.scans.place[pos]], team), w.draw(team, 0, 0.3))
