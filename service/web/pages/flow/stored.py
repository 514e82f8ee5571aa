"""The flow of a report of the store: its scans, without those that its findings take out."""

from __future__ import annotations

import numpy as np

from service.events.columns import Events, code_columns, factorize, step_codes, type_codes
from service.events.vocabulary import KINDS
from service.events.zones import TimeZones
from service.findings.records import FileReport, FlowScans
from service.flow.counted import counted
from service.web.pages.atlas import Atlas
from service.web.pages.flow.measured import FlowPage, flow_page

MOST_EVENTS = 1_000_000
"""Of a report whose flow a page shows: some 10 s and 1 GB; for more there is ``flow measure``."""


def stored_flow(file: FileReport, scans: FlowScans, atlas: Atlas, zones: TimeZones) -> FlowPage | None:
    """Return the page of a report, None if no scan of it counts."""
    if not scans.rows:
        return None
    numbers, codes, location_ids, names, steps, kinds, times = zip(*scans.rows, strict=True)
    epc, epc_codes, spelling = code_columns(codes)
    step, step_names = factorize(steps)
    kind, kind_names = factorize(kinds)
    number = np.array(numbers, dtype=np.int64)
    events = Events(
        event_id=number,
        epc=epc,
        epc_codes=epc_codes,
        location_id=np.array(location_ids, dtype=np.int64),
        step=step_codes(step_names)[step],
        event_type=type_codes(kind_names)[kind],
        time_us=np.array(times, dtype=np.int64),
        file_id=np.zeros(len(number), dtype=np.int64),
        spelling=spelling,
    )
    flags = np.zeros((len(number), len(KINDS)), dtype=np.bool_)
    stalled = np.zeros(len(number), dtype=np.bool_)
    for flagged, of_kinds, has_stalled in scans.flagged:
        at = int(np.searchsorted(number, flagged))
        flags[at] = of_kinds
        stalled[at] = has_stalled
    counts = counted(events, flags)
    if not counts.any():
        return None
    places = dict(zip(location_ids, names, strict=True))
    return flow_page(
        file.file_name or str(file.report_id), events, counts, stalled, places=places, atlas=atlas, zones=zones
    )
