"""Measured flow as a page: what came and left so far, what is where, who is outside of his band, and what follows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.events.columns import Events
from service.events.vocabulary import LEVELS
from service.events.zones import TimeZones
from service.flow.advice import Advice, of_sites
from service.flow.alerts import BandAlert, out_of_band
from service.flow.counted import stalled_stays
from service.flow.little import LittlesLaw, little
from service.flow.measures import Flow, measure
from service.flow.sites import SiteDays, site_days
from service.flow.stays import Stays, stays_of
from service.web.pages.atlas import Atlas

_MOST_DAYS = 3_660


@dataclass(frozen=True, slots=True)
class FlowSite:
    """One site, over all days."""

    location_id: int
    name: str
    step: str
    arrivals: int
    departures: int
    wip: int  # as the last day ends
    mean_wip: float
    dwell_h: float | None  # mean of what left


@dataclass(frozen=True, slots=True)
class FlowAlarm:
    """A site outside of its band."""

    name: str
    alert: BandAlert
    day: str


@dataclass(frozen=True, slots=True)
class FlowPage:
    """What the page shows."""

    title: str
    events: int
    left_out: int
    first_day: str
    last_day: str
    complete_day: str  # the last that is complete at half of the sites
    sites: list[FlowSite]  # those with the most items first
    alarms: list[FlowAlarm]
    advice: list[tuple[str, Advice]]  # name of the site
    law: LittlesLaw
    lines_json: str  # cumulative flow, for the script
    sites_json: str  # of the map; "" if no place is known


def flow_page(  # noqa: PLR0913 - what was read, and how it is shown
    title: str,
    events: Events,
    counts: NDArray[np.bool_],
    stalled: NDArray[np.bool_],
    *,
    places: Mapping[int, str],
    atlas: Atlas,
    zones: TimeZones,
) -> FlowPage:
    """Return the page of ``events`` [N], of which some count and some are known to have stalled."""
    kept = events.take(counts)
    stays = stays_of(kept)
    flow = measure(stays, kept.epc_codes, zones)
    sites = site_days(flow)
    standing = stalled_stays(stays, kept, stalled[counts])
    usual = sites
    if standing.any() and not standing.all():
        usual = site_days(measure(stays.take(~standing), kept.epc_codes, zones))
    ids, items = np.unique(stays.location_id[standing], return_counts=True)
    alerts = out_of_band(usual, dict(zip(ids.tolist(), items.tolist(), strict=True))).alerts

    def name(location_id: int) -> str:
        return places.get(location_id) or f"location {location_id}"

    return FlowPage(
        title=title,
        events=len(events),
        left_out=int((~counts).sum()),
        first_day=_day(sites.first_day),
        last_day=_day(sites.first_day + sites.days - 1),
        complete_day=_day(sites.first_day + max(int(np.median(sites.complete)) - 1, 0)),
        sites=sorted(_sites(sites, name_of=name), key=lambda one: (-one.wip, one.location_id)),
        alarms=[FlowAlarm(name(one.location_id), one, _day(one.day)) for one in alerts],
        advice=[(name(one.location_id), one) for one in of_sites(usual)],
        law=_law(stays),
        lines_json=_cumulative(flow, sites),
        sites_json=_map(sites, atlas, name, {one.location_id for one in alerts}),
    )


def _sites(sites: SiteDays, name_of: Callable[[int], str]) -> list[FlowSite]:
    found = []
    for at, location_id in enumerate(sites.location_id.tolist()):
        left = float(sites.departures[at].sum())
        hours = float(np.nansum(sites.dwell_h[at] * sites.departures[at]))
        step = int(sites.step[at])
        found.append(
            FlowSite(
                location_id=location_id,
                name=name_of(location_id),
                step=LEVELS[step] if step >= 0 else "",
                arrivals=int(sites.arrivals[at].sum()),
                departures=int(left),
                wip=int(sites.wip[at, -1]),
                mean_wip=float(sites.mean_wip[at].mean()),
                dwell_h=hours / left if left else None,
            )
        )
    return found


def _law(stays: Stays) -> LittlesLaw:
    first = int(stays.arrived_us.min())
    last = max(stays.last_us, first + 4)
    quarter = (last - first) // 4
    return little(stays, first + quarter, last - quarter)


def _cumulative(flow: Flow, sites: SiteDays) -> str:
    """Return what came to each step so far, by day: between two lines lies what is at or on the way from a step."""
    days = [_day(sites.first_day + at) for at in range(min(sites.days, _MOST_DAYS))]
    lines = []
    for step in np.unique(flow.step[flow.step >= 0]).tolist():
        here = flow.step == step
        came = np.bincount(flow.day[here] - sites.first_day, flow.arrivals[here], minlength=sites.days)
        lines.append({"name": LEVELS[step], "values": came.cumsum().astype(int).tolist()[: len(days)]})
    return json.dumps({"days": days, "lines": lines}, ensure_ascii=False)


def _map(sites: SiteDays, atlas: Atlas, name_of: Callable[[int], str], alarmed: set[int]) -> str:
    shown = [
        {
            "at": at,
            "name": name_of(location_id),
            "wip": round(float(sites.mean_wip[row, -1]), 1),
            "alert": location_id in alarmed,
        }
        for row, location_id in enumerate(sites.location_id.tolist())
        if (at := atlas.coordinates(location_id)) is not None
    ]
    return json.dumps(shown, ensure_ascii=False) if shown else ""


def _day(day: int) -> str:
    return str(np.datetime64(day, "D"))
