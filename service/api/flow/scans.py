"""Scans of a request to measures, bands and advice."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from service.api.admission import EVENT_BYTES
from service.api.flow.desk import FlowDesk
from service.api.flow.rows import advice_messages, alert_messages, flow_rows, law_message
from service.api.requests import decode_request
from service.detect.detector import Judgement
from service.detect.names import DetectorName
from service.errors import InvalidRequest
from service.events.columns import Events
from service.events.vocabulary import KINDS
from service.flow.advice import of_sites
from service.flow.alerts import out_of_band
from service.flow.counted import counted, stalled_stays
from service.flow.little import little
from service.flow.measures import measure
from service.flow.sites import site_days
from service.flow.stays import Stays, stays_of
from service.pb.epcsentinel.v1 import flow_pb2 as pb
from service.runtime import threads
from service.runtime.deadline import Deadline

_MOST_CELLS = 3_000_000
"""Days of a site, step and product in one request: each may be a row of the answer, some 300 bytes of memory."""

_NONE = "none"
_JUMP, _STALLED = KINDS.index("jump"), "stalled"


@dataclass(frozen=True, slots=True)
class MeasureQuestion:
    """What a Measure asks."""

    events: Events
    detector: DetectorName | None
    begin_us: int | None
    end_us: int | None


async def measure_scans(desk: FlowDesk, raw: bytes, deadline: Deadline) -> pb.FlowServiceMeasureResponse:
    """Return what was measured; raises InvalidRequest, and what judging raises."""
    async with desk.admission.enter(len(raw), refuse=True):
        asked = await threads.run(threads.MESSAGE, partial(_question, desk, raw), len(raw) // EVENT_BYTES)
        events = len(asked.events)
        judgement = None
        stalled = np.zeros(events, dtype=np.bool_)
        if asked.detector is not None:
            judgement = await desk.analyzer.analyze(
                asked.events, asked.detector, deadline, history=False, point=None, explain=True
            )
            stalled = await threads.run(threads.ALWAYS_OFF, partial(_stalled, desk, judgement), events)
        return await threads.run(threads.ALWAYS_OFF, partial(_answer, desk, asked, judgement, stalled), events)


def _question(desk: FlowDesk, raw: bytes) -> MeasureQuestion:
    try:
        request = pb.FlowServiceMeasureRequest.FromString(raw)
    except DecodeError:
        raise InvalidRequest([("request", "is not a valid FlowServiceMeasureRequest message")]) from None
    wrong = []
    name = request.detector or DetectorName.LSTM
    if name != _NONE and name not in list(DetectorName):
        some = ", ".join([*DetectorName, _NONE])
        wrong.append(("detector", f"{name[:40]!r} is none of {some}"))
    times = [
        getattr(request, field).ToMicroseconds() if request.HasField(field) else None
        for field in ("window_begin", "window_end")
    ]
    if (times[0] is None) != (times[1] is None):
        missing = "window_begin" if times[0] is None else "window_end"
        wrong.append((missing, "is missing: give both ends of the window, or none"))
    elif times[0] is not None and times[1] is not None and times[1] <= times[0]:
        wrong.append(("window_end", "is not after window_begin"))
    if wrong:
        raise InvalidRequest(wrong)
    for field in ("detector", "window_begin", "window_end"):
        request.ClearField(field)
    # Field by field the scans are those of AnomalyService, so that one place takes them apart.
    plain = request.SerializeToString()
    question = decode_request(plain, max_events=desk.admission.max_events, one_file=False, words=desk.analyzer.words)
    return MeasureQuestion(question.events, None if name == _NONE else DetectorName(name), *times)


def _stalled(desk: FlowDesk, judgement: Judgement) -> NDArray[np.bool_]:
    """Return which events [N] are flagged because their item had stood still."""
    told = desk.explainer.explain(judgement, "en")
    found = np.zeros(len(judgement.flags), dtype=np.bool_)
    for at in np.flatnonzero(judgement.flags[:, _JUMP]).tolist():
        found[at] = told.cause(at, _JUMP).code == _STALLED
    return found


def _answer(
    desk: FlowDesk, asked: MeasureQuestion, judgement: Judgement | None, stalled: NDArray[np.bool_]
) -> pb.FlowServiceMeasureResponse:
    counts = counted(asked.events, judgement.flags) if judgement else np.ones(len(asked.events), dtype=np.bool_)
    left_out = int((~counts).sum())
    if left_out == len(counts):
        raise InvalidRequest([("data", "has no event that counts: all are flagged, or of flagged items")])
    events = asked.events.take(counts)
    stays, zones = stays_of(events), desk.zones()
    law = little(stays, *_window(stays, asked))
    flow = measure(stays, events.epc_codes, zones, _MOST_CELLS)
    standing = stalled_stays(stays, events, stalled[counts])
    usual = measure(stays.take(~standing), events.epc_codes, zones) if standing.any() and not standing.all() else flow
    sites = site_days(usual)
    by_site = np.unique(stays.location_id[standing], return_counts=True)
    alerts = out_of_band(sites, dict(zip(*(column.tolist() for column in by_site), strict=True))).alerts
    desk.last.alerts = alerts
    return pb.FlowServiceMeasureResponse(
        rows=flow_rows(flow),
        law=law_message(law),
        alerts=alert_messages(alerts),
        advice=advice_messages(of_sites(sites)),
        left_out=left_out,
        method=judgement.method if judgement else "",
        warning=judgement.warning if judgement else "",
    )


def _window(stays: Stays, asked: MeasureQuestion) -> tuple[int, int]:
    first, last = int(stays.arrived_us.min()), max(stays.last_us, int(stays.arrived_us.min()) + 1)
    if asked.begin_us is None or asked.end_us is None:
        quarter = (last - first) // 4
        return first + quarter, last - quarter
    if asked.end_us <= first or asked.begin_us >= last:
        raise InvalidRequest([("window_begin", "to window_end has no scan: the data are of another time")])
    return asked.begin_us, asked.end_us
