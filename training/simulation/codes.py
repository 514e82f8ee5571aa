"""epcFake: codes that nobody issued, or that turn up where their item never was."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from training.simulation.catalogue import Bools, Ints
from training.simulation.scans import DAY, printed_code
from training.simulation.workbench import Workbench

_TWICE_BAD = 0.5  # share of the forged items that may suffer a second kind of anomaly


def _pick_codes(w: Workbench, quota: float, eligible: Bools | None = None) -> tuple[Ints, Ints]:
    """Pick first scans whose items together have about ``quota`` scans, and mark their codes as forged."""
    mask = w.starts if eligible is None else w.starts & eligible[w.scans.item]
    pos, team = w.pick(mask, quota / w.count.mean())
    item = w.items_of(pos)
    w.forged[item] = w.code
    w.labelled += int(w.count[item].sum())
    w.free[item] = w.rng.random(len(item)) < _TWICE_BAD
    return item, team


def malformed(w: Workbench, quota: float) -> None:
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


def foreign_company(w: Workbench, quota: float) -> None:
    item, team = _pick_codes(w, quota)
    w.items.company[item] = 8_810_000 + (w.draw(team) * 80_000).astype(np.int64)


def unknown_product(w: Workbench, quota: float) -> None:
    item, team = _pick_codes(w, quota)
    w.items.number[item] = 2_000_000 + (w.draw(team) * 7_000_000).astype(np.int64)


def future_date(w: Workbench, quota: float) -> None:
    item, team = _pick_codes(w, quota)
    w.items.day[item] = w.items.made[item] // DAY + 20 + (w.draw(team) * 200).astype(np.int64)


def other_company(w: Workbench, quota: float) -> None:
    if len(w.cat.companies) < 2:
        return
    item, team = _pick_codes(w, quota)
    companies = np.array(w.cat.companies)
    other = np.searchsorted(companies, w.items.company[item]) + 1 + (w.draw(team) < 0.5)
    w.items.company[item] = companies[other % len(companies)]


def lot_of_other_product(w: Workbench, quota: float) -> None:
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


def serial_outside(w: Workbench, quota: float) -> None:
    item, team = _pick_codes(w, quota)
    start = w.cat.lot_first_serial[w.items.lot[item]]
    beyond = 300 + (w.draw(team) * 3_000).astype(np.int64)
    _distinct_serials(w, item, start + w.cat.block_width + beyond)


def serial_never_shipped(w: Workbench, quota: float) -> None:
    item, team = _pick_codes(w, quota, w.items.serial_gap >= 20)
    inside = (w.draw(team, 0.3, 0.7) * w.items.serial_gap[item]).astype(np.int64)
    _distinct_serials(w, item, w.items.shipment_end[item] + inside)


def early_date(w: Workbench, quota: float) -> None:
    item, team = _pick_codes(w, quota)
    w.items.day[item] -= 1 + (w.draw(team) * 12).astype(np.int64)


def first_seen_downstream(w: Workbench, quota: float) -> None:
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
