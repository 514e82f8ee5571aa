"""The ``flow`` commands: raw files in, work in progress, throughput and cycle times out."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from rich.text import Text

from service.client.access import OPEN
from service.console import how_many, rate, wide_console
from service.detect.names import DetectorName
from service.errors import CommandError
from service.events.columns import Events
from service.events.vocabulary import KINDS, LEVELS
from service.flow.advice import of_sites
from service.flow.alerts import out_of_band
from service.flow.counted import counted, stalled_stays
from service.flow.little import LittlesLaw, little
from service.flow.measures import Flow, measure
from service.flow.sites import site_days
from service.flow.stays import Stays, stays_of
from service.jobs.analyze import analyze_files
from service.jobs.progress import warn
from service.jobs.render import printable
from service.jobs.zones import site_dialect, site_zones
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from service.rawfiles.columns import RawEvents, read_files
from service.rawfiles.folders import left_out, raw_files
from service.settings import Settings

COLUMNS = (
    "location_id",
    "place",
    "step",
    "product",
    "day",
    "arrivals",
    "departures",
    "departures_by_rule",
    "wip",
    "mean_wip",
    "dwell_h",
    "cycle_h",
    "complete",
)
"""Of the table that `write_csv` writes."""


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What was measured of some files."""

    raw: RawEvents
    stays: Stays
    flow: Flow
    left_out: int  # events
    epc_codes: Sequence[str]  # of the items of the stays
    counts: NDArray[np.bool_]  # which events [N] count
    stalled: NDArray[np.bool_]  # which events [N] are flagged because their item had stood still, if that was asked


async def measure_files(
    paths: Sequence[Path],
    detector: DetectorName | None,
    settings: Settings,
    time_zone: str | None = None,
    *,
    causes: bool = False,
) -> Measured:
    """Return the flow of raw files and folders of them, without what ``detector`` flags.

    None judges nothing: each scan counts. With ``causes`` it is known which items had stalled.

    Raises:
        CommandError: a file cannot be used, or nothing is left.
        SentinelError: the model cannot be used.
    """
    dialect = site_dialect(None, settings)
    columns = dialect.columns if dialect else {}
    files = raw_files(paths, columns)
    warn(left_out(paths, columns))
    raw, flags, stalled = await _judged(files, detector, settings, time_zone, causes=causes)
    kept = counted(raw.events, flags)
    if not kept.any():
        raise CommandError(
            "all events are flagged, so nothing is left to measure: see analyze, or measure --all-events"
        )
    events = raw.events.take(kept)
    stays = stays_of(events)
    flow = measure(stays, events.epc_codes, raw.zones)
    return Measured(raw, stays, flow, int((~kept).sum()), events.epc_codes, kept, stalled)


async def _judged(
    paths: Sequence[Path], detector: DetectorName | None, settings: Settings, time_zone: str | None, *, causes: bool
) -> tuple[RawEvents, NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the events of files, their findings [N, 5], and which [N] say that their item had stood still."""
    if detector is None:
        zones = site_zones(time_zone, settings)
        raw = await asyncio.to_thread(read_files, paths, zones=zones, dialect=site_dialect(None, settings))
        if not len(raw.events):
            raise CommandError(f"{', '.join(map(str, paths))}: no rows below the header line, so nothing to measure")
        warn(raw.warnings)
        return raw, np.zeros((len(raw.events), len(KINDS)), np.bool_), np.zeros(len(raw.events), np.bool_)
    told, of = ("en", 0) if causes else (None, None)
    raw, response, _ = await analyze_files(
        paths, detector, None, settings, OPEN, None, told, time_zone, of_incidents=of
    )
    return raw, *_found(raw.events, response)


def _found(events: Events, response: pb.AnalyzeFilesResponse) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the findings [N, 5] and which events [N] say that their item had stood still."""
    flagged = [finding for answer in response.files for finding in answer.event_history]
    flags = np.zeros((len(events), len(KINDS)), dtype=np.bool_)
    stalled = np.zeros(len(events), dtype=np.bool_)
    if flagged:
        order = np.argsort(events.event_id)
        ids = np.array([finding.event_id for finding in flagged], dtype=np.int64)
        by_name = {field.json_name: field.name for field in pb.EventFinding.DESCRIPTOR.fields}
        names = [by_name[kind] for kind in KINDS]
        at = order[np.searchsorted(events.event_id, ids, sorter=order)]
        flags[at] = [[getattr(one, name) for name in names] for one in flagged]
        stalled[at] = [one.jump_cause == "stalled" for one in flagged]
    return flags, stalled


def window_of(stays: Stays, begin: datetime | None, end: datetime | None) -> LittlesLaw:
    """Return Little's law between two times; by default over the middle half of the data.

    Raises:
        CommandError: nothing is in between.
    """
    first_us, last_us = int(stays.arrived_us.min()), stays.last_us
    quarter = (last_us - first_us) // 4
    begin_us = first_us + quarter if begin is None else _us(begin)
    end_us = last_us - quarter if end is None else _us(end)
    if end_us <= max(begin_us, first_us) or begin_us >= last_us:
        raise CommandError(
            f"no events between {_time(begin_us)} and {_time(end_us)}: the data are from {_time(first_us)} to"
            f" {_time(last_us)}"
        )
    return little(stays, begin_us, end_us)


def _us(time: datetime) -> int:
    return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1e6)


def _time(time_us: int) -> str:
    return f"{datetime.fromtimestamp(time_us / 1e6, UTC):%Y-%m-%d %H:%M}Z"


def rows(measured: Measured) -> Iterator[tuple[object, ...]]:
    """Yield a row of `COLUMNS` per site, step, product and day."""
    flow, places = measured.flow, measured.raw.places
    days = (flow.day.astype("datetime64[D]")).astype(str)
    for at in range(len(flow)):
        step = int(flow.step[at])
        yield (
            int(flow.location_id[at]),
            places.get(int(flow.location_id[at]), ""),
            LEVELS[step] if step >= 0 else "",
            int(flow.product[at]) if flow.product[at] >= 0 else "",
            days[at],
            int(flow.arrivals[at]),
            int(flow.departures[at]),
            int(flow.departures_by_rule[at]),
            int(flow.wip[at]),
            round(float(flow.mean_wip[at]), 3),
            _hours(flow.dwell_h[at]),
            _hours(flow.cycle_h[at]),
            bool(flow.is_complete[at]),
        )


def _hours(value: float) -> object:
    return "" if np.isnan(value) else round(float(value), 3)


def write_csv(measured: Measured, out: IO[str]) -> None:
    """Write all rows."""
    table = csv.writer(out, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows(rows(measured))


def write_tables(measured: Measured, window: LittlesLaw) -> None:
    """Write the flow by step to stdout, and Little's law over all of the network."""
    console = wide_console(highlight=False)
    console.print(_steps_table(measured))
    raw = measured.raw.events
    of = f"{how_many(len(raw), 'event')} of {how_many(len(raw.epc_codes), 'EPC')}"
    console.print(f"{len(raw) - measured.left_out} of {of} count: {measured.left_out} are flagged or of flagged items.")
    console.print(
        f"Little's law, in the window: {window.mean_wip:,.1f} items there on average ="
        f" {rate(window.rate_per_h)} items per hour x {window.time_in_window_h:,.2f} h each in it."
    )
    console.print(
        f"Of what left in it: {rate(window.departures_per_h)} per hour x {window.dwell_h:,.2f} h of dwell ="
        f" {window.departures_per_h * window.dwell_h:,.1f}; the gap of {round(window.gap, 1) + 0.0:,.1f} is what still"
        f" is there ({window.remaining_h:,.1f}) less what they spent there before ({window.before_h:,.1f})."
    )
    _write_bands(measured, console)


def _write_bands(measured: Measured, console: Console) -> None:
    """Write which sites are out of their band, and what follows; items that are known to have stalled do not count."""
    raw = measured.raw
    kept = raw.events.take(measured.counts)
    standing = stalled_stays(measured.stays, kept, measured.stalled[measured.counts])
    flow = measured.flow
    if standing.any() and not standing.all():
        flow = measure(measured.stays.take(~standing), kept.epc_codes, raw.zones)
    sites = site_days(flow)
    bands = out_of_band(sites)
    console.print(
        f"{len(bands.alerts)} of {bands.measured} stocks and dwells of sites are out of their band;"
        f" {int(standing.sum())} stays had stalled, and are not counted there."
    )
    for one in bands.alerts:
        place = printable(raw.places.get(one.location_id) or f"location {one.location_id}")
        console.print(
            f"- {one.measure} of {place}: {one.value:,.1f} on {np.datetime64(one.day, 'D')}, usual are"
            f" {one.lower:,.1f} to {one.upper:,.1f}",
            markup=False,
        )
    for advice in of_sites(sites):
        place = printable(raw.places.get(advice.location_id) or f"location {advice.location_id}")
        console.print(f"- {advice.text.replace(f'location {advice.location_id}', place)}", markup=False)


def _steps_table(measured: Measured) -> Table:
    flow, places = measured.flow, measured.raw.places
    sites = np.unique(flow.location_id)
    table = Table(
        "Place", "Step", "Arrivals", "Departures", "By rule", "Mean WIP", "WIP at the end", "Dwell h", "Cycle h"
    )
    days = max(int(np.ptp(flow.day)) + 1, 1)
    for site in sites.tolist():
        here = flow.take(flow.location_id == site)
        left = here.departures.sum()
        last = here.wip[_last_of_each(here)].sum()
        table.add_row(
            Text(printable(places.get(site) or f"location {site}")),
            LEVELS[step] if (step := int(here.step[0])) >= 0 else "",
            *(f"{int(column.sum()):,}" for column in (here.arrivals, here.departures, here.departures_by_rule)),
            f"{here.mean_wip.sum() / days:,.1f}",
            f"{int(last):,}",
            *(
                f"{np.nansum(column * here.departures) / left:,.1f}" if left else ""
                for column in (here.dwell_h, here.cycle_h)
            ),
        )
    table.title = f"{how_many(len(sites), 'site')}, {how_many(days, 'day')}"
    return table


def _last_of_each(flow: Flow) -> NDArray[np.intp]:
    """Return the last row of each product and step."""
    key = np.stack([flow.step.astype(np.int64), flow.product])
    is_last = np.r_[(key[:, 1:] != key[:, :-1]).any(axis=0), True]
    return np.flatnonzero(is_last)
