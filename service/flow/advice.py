"""What follows of measures and plans: rules, each with the numbers that it rests on, so that people can disagree.

- bottleneck: of the sites whose stock grows, the one where what comes is nearest to the most that ever left in a week.
- excess_stock: a site has more than what leaves it, times its usual dwell: Little's law.
- feasible_throughput: what a stock lets leave at a cycle time: Little's law again.
- stalled: of a stock, what stands still, so that a forecast expects none of it to leave.
- little: what each number of a plan would have to be, the other two kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from service.flow.alerts import BAND_DAYS, LAST_DAYS
from service.flow.forecast.stock import STALLED
from service.flow.little import Check
from service.flow.sites import SiteDays

BUSY = 0.85
"""Utilisation from which queues grow fast: a queue of one server has 5.7 waiting for each at work."""

EXCESS = 0.2
"""Share of a stock that has to be too much before anything is said."""

_LEAST_ITEMS = 10
_MOST_SITES = 3


@dataclass(frozen=True, slots=True)
class Advice:
    """A recommendation."""

    rule: str
    text: str
    numbers: dict[str, float]
    location_id: int = 0  # 0: of no site


def of_sites(sites: SiteDays) -> list[Advice]:
    """Return what to do at sites."""
    excess = [one for at in range(len(sites)) if (one := _excess(sites, at))]
    return [*_bottleneck(sites), *sorted(excess, key=lambda one: -one.numbers["excess"])[:_MOST_SITES]]


def of_plan(check: Check, wip: float, throughput_per_day: float, cycle_days: float) -> list[Advice]:
    """Return what to change of a plan that does not hold."""
    if check.holds:
        return []
    text = (
        f"WIP of {wip:,.1f} is {check.ratio:.3f} times {throughput_per_day:,.2f} per day x {cycle_days:,.2f} days: let"
        f" WIP be {check.wip:,.1f}, or throughput {check.throughput_per_day:,.2f} per day, or cycle time"
        f" {check.cycle_days:,.2f} days"
    )
    numbers = {
        "ratio": check.ratio,
        "wip": check.wip,
        "throughput": check.throughput_per_day,
        "cycle_time_days": check.cycle_days,
    }
    return [Advice("little", text, numbers)]


def of_forecast(wip: float, throughput_per_day: float, cycle_h: float, planned: float | None) -> list[Advice]:
    """Return what a stock lets leave at the cycle time that is expected, beside what is planned."""
    if wip <= 0 or cycle_h <= 0:
        return []
    feasible = wip * 24 / cycle_h
    numbers = {"wip": wip, "cycle_time_h": cycle_h, "feasible_throughput": feasible, "throughput": throughput_per_day}
    text = f"{wip:,.1f} items at a cycle time of {cycle_h:,.1f} h let {feasible:,.1f} leave per day"
    if planned is None:
        return [Advice("feasible_throughput", f"{text}; {throughput_per_day:,.1f} are expected to", numbers)]
    numbers |= {"planned_throughput": planned, "needed_wip": planned * cycle_h / 24}
    if planned > feasible:
        text += f", the plan of {planned:,.1f} needs {numbers['needed_wip']:,.1f} items in work or a shorter cycle time"
    else:
        text += f", the plan of {planned:,.1f} needs no more than {numbers['needed_wip']:,.1f} items in work"
    return [Advice("feasible_throughput", text, numbers)]


def of_stalled(items: float, wip: float) -> list[Advice]:
    """Return how much of a stock stands still, nothing if less than one item does."""
    if items < 1:
        return []
    text = (
        f"{items:,.0f} of {wip:,.0f} items stand still longer than {1 - STALLED:.1%} of such items stay: they are part"
        " of the stock, and none of them is expected to leave"
    )
    return [Advice("stalled", text, {"stalled_items": items, "wip": wip, "stays": STALLED})]


def _bottleneck(sites: SiteDays) -> list[Advice]:
    found: list[tuple[float, int, dict[str, float]]] = []
    for at in range(len(sites)):
        days = int(sites.complete[at])
        if days < 2 * BAND_DAYS:
            continue
        left, came = sites.departures[at, :days], sites.arrivals[at, days - BAND_DAYS : days]
        week = np.convolve(left, np.ones(7), "valid") / 7
        capacity, load = float(week.max()), float(came.mean())
        before = float(sites.mean_wip[at, days - BAND_DAYS : days - LAST_DAYS].mean())
        now = float(sites.mean_wip[at, days - LAST_DAYS : days].mean())
        if capacity * 7 >= _LEAST_ITEMS and now > before:
            numbers = {
                "utilisation": load / capacity,
                "arrivals_per_day": load,
                "capacity_per_day": capacity,
                "wip": now,
                "wip_before": before,
            }
            found.append((load / capacity, at, numbers))
    if not found or max(found)[0] < BUSY:
        return []
    share, at, numbers = max(found, key=lambda one: one[0])
    site = int(sites.location_id[at])
    text = (
        f"location {site} is the bottleneck: {numbers['arrivals_per_day']:,.1f} items come per day,"
        f" {share:.0%} of the {numbers['capacity_per_day']:,.1f} that left in its best week, and its stock grew from"
        f" {numbers['wip_before']:,.1f} to {numbers['wip']:,.1f}"
    )
    return [Advice("bottleneck", text, numbers, site)]


def _excess(sites: SiteDays, at: int) -> Advice | None:
    days = int(sites.complete[at])
    if days < BAND_DAYS:
        return None
    left, dwell = sites.departures[at, :days], sites.dwell_h[at, :days]
    rate, now = float(left[-BAND_DAYS:].mean()), float(sites.mean_wip[at, max(days - LAST_DAYS, 0) : days].mean())
    known = np.flatnonzero(left > 0)
    if not len(known) or rate <= 0:
        return None
    usual_h = float(np.average(dwell[known], weights=left[known]))
    needed = rate * usual_h / 24
    too_much = now - needed
    if too_much < max(EXCESS * now, _LEAST_ITEMS):
        return None
    numbers = {"wip": now, "throughput": rate, "usual_dwell_h": usual_h, "needed_wip": needed, "excess": too_much}
    site = int(sites.location_id[at])
    text = (
        f"location {site} has {too_much:,.0f} items more than it needs: {now:,.1f} are there, and {rate:,.1f} per day x"
        f" {usual_h:,.1f} h of usual dwell are {needed:,.1f}"
    )
    return Advice("excess_stock", text, numbers, site)
