"""epcDup: a second item under the code of a genuine one.

A clone moves where its product does, at hours at which others do: its scans look normal by themselves. It always turns
up after the genuine item, so that the scans before the conflict are normal and the ones labelled can be known for
anomalous when they happen.
"""

from __future__ import annotations

import numpy as np

from training.simulation.catalogue import Bools, Ints
from training.simulation.scans import DAY, HOUR, dispatch, workday
from training.simulation.workbench import Workbench, secs


def _elsewhere(w: Workbench, pos: Ints, level: int | None = None) -> Bools:
    """Return [len(pos), P]: other places of the product's flow, of the scan's own level unless another one is given."""
    places, here = w.cat.places, w.scans.place[pos][:, None]
    wanted = places.level[here] if level is None else level
    other = (places.level == wanted) & (np.arange(len(places.name)) != here)
    return np.asarray(other & w.cat.reached[w.items.product[w.items_of(pos)]])


def _same_region(w: Workbench, pos: Ints) -> Bools:
    """Return [len(pos), P]: places of the region of the scan."""
    return np.asarray(w.cat.places.region == w.cat.places.region[w.scans.place[pos]][:, None])


def _pick(w: Workbench, eligible: Bools, allowed: Bools, wanted: float) -> tuple[Ints, Ints, Ints]:
    """Pick among the eligible scans that leave the clone a place: (positions, team, place). ``allowed`` is [E, P]."""
    options = np.zeros((len(w.scans), allowed.shape[1]), dtype=bool)
    options[eligible] = allowed
    possible: Bools = np.any(options, axis=1)
    pos, team = w.pick(possible, wanted)
    return pos, team, w.choose(options[pos], team)


def resold(w: Workbench, quota: float) -> None:
    """Sold a second time by another retailer of the region."""
    s = w.scans
    eligible = w.room(1) & (s.step == 9) & w.ends & (w.wait > 2 * DAY)
    at = np.flatnonzero(eligible)
    pos, team, shop = _pick(w, eligible, _elsewhere(w, at) & _same_region(w, at), quota)
    later = (w.draw(team, 0.1, 0.85) * np.minimum(w.wait[pos], 30 * DAY)).astype(np.int64)
    w.add(w.items_of(pos), 9, shop, workday(s.time[pos] + later, *w.cat.habits.shop_hours))


def sold_while_upstream(w: Workbench, quota: float) -> None:
    """Sold by a retailer of the region while the genuine item lies upstream, whose next scan comes after its sale."""
    s = w.scans
    eligible = w.room(1) & w.inbound & (s.step >= 3) & w.followed & (w.wait > 3 * DAY) & w.has(9)
    at = np.flatnonzero(eligible)
    pos, team, shop = _pick(w, eligible, _elsewhere(w, at, level=4) & _same_region(w, at), quota / 2)
    later = (w.draw(team, 0.1, 0.8) * w.wait[pos]).astype(np.int64)
    w.add(w.items_of(pos), 9, shop, workday(s.time[pos] + later, *w.cat.habits.shop_hours))
    w.label(pos + 1)


def at_once_in_two_regions(w: Workbench, quota: float) -> None:
    """Scanned minutes later at a place of the same level in another region."""
    s = w.scans
    eligible = w.room(1) & (s.step >= 3) & (w.wait > HOUR)
    at = np.flatnonzero(eligible)
    pos, team, place = _pick(w, eligible, _elsewhere(w, at) & ~_same_region(w, at), quota)
    w.add(w.items_of(pos), s.step[pos], place, s.time[pos] + secs(w.draw(team, 0.005, 0.15)))


def clone_nearby(w: Workbench, quota: float) -> None:
    """Received a second time by another wholesaler or retailer of the region, hours after the first."""
    s = w.scans
    eligible = w.room(1) & np.isin(s.step, (5, 7)) & (w.wait > 2 * DAY)
    at = np.flatnonzero(eligible)
    pos, team, place = _pick(w, eligible, _elsewhere(w, at) & _same_region(w, at), quota)
    w.add(w.items_of(pos), s.step[pos], place, s.time[pos] + secs(w.draw(team, 2, 30)))


def parallel_journey(w: Workbench, quota: float) -> None:
    """A clone passes through another hub or wholesaler with plausible timings of its own while the item moves on.

    It moves on before the item does, which tells it from a clone that is seen but once. The genuine journey rests
    unsold early enough to leave both room.
    """
    _parallel(w, quota / 2, start=3, keep=6, steps=3)
    _parallel(w, quota / 2, start=5, keep=8, steps=2)


def _parallel(w: Workbench, quota: float, start: int, keep: int, steps: int) -> None:
    """Add a clone's scans of ``steps`` steps from ``start`` on to items that keep their first ``keep`` scans."""
    s, links = w.scans, w.cat.links
    first = np.searchsorted(s.item, s.item)
    eligible = (s.step == start) & w.has(start + 1) & w.followed & (w.wait > 6 * DAY) & (w.index + 1 < first + keep)
    at = np.flatnonzero(eligible)
    leads_on: Bools = np.any(links, axis=2)  # [Q, P]
    allowed = _elsewhere(w, at) & leads_on[w.items.product[w.items_of(at)]]
    pos, team, stock = _pick(w, eligible, allowed, quota / (steps + 1.7))
    item = w.items_of(pos)
    w.cut_after(first[pos] + np.minimum(keep, w.count[item]) - 1)
    arrived = s.time[pos] + secs(w.draw(team, 3, 60))
    rest = s.time[pos + 1] - arrived
    left = dispatch(arrived + (w.draw(team, 0.2, 0.6) * rest).astype(np.int64), w.cat.habits)
    target = w.choose(links[w.items.product[item], stock], team)
    lane = w.cat.lanes.between[stock, target]
    usual = secs(w.cat.lanes.mean[lane] * w.draw(team, 0.95, 1.2))
    road = w.roads.slowed(usual, lane, w.roads.of(target, left))
    journey = ((start, stock, arrived), (start + 1, stock, left), (w.cat.habits.after(start + 1), target, left + road))
    for step, place, time in journey[:steps]:
        w.add(item, step, place, time)
    conflict = np.full(len(w.count), len(s))
    conflict[item] = pos
    w.label(np.flatnonzero((w.index > conflict[s.item]) & w.alive))
