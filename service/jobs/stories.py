"""The incidents of an answer: which of its findings are one story, see `service.explain.incidents`; and items alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from service.events.codes import Codes
from service.events.columns import Events
from service.events.journeys import Journeys
from service.events.vocabulary import KINDS
from service.explain.causes import CODES
from service.explain.incidents import Findings, incidents
from service.jobs.positions import positions
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb

FIELDS = dict(zip(KINDS, ("epc_fake", "epc_dup", "loc_err", "evt_order_err", "jump"), strict=True))
"""The names of the kinds in messages."""


@dataclass(frozen=True, slots=True, eq=False)
class Story:
    """One incident."""

    kind: str
    cause: str
    items: int
    events: NDArray[np.intp]  # positions among all events, in their order
    first: int  # the position of its first event
    reason: str  # of the first event


def nearest_mates(codes: Codes, epc: int, most: int) -> list[int]:
    """Return other items of an item's lot, those with the nearest serials first; none of a malformed code."""
    if not codes.well_formed[epc]:
        return []
    alike = [getattr(codes, part) == getattr(codes, part)[epc] for part in ("company", "product", "lot")]
    mates: NDArray[np.intp] = np.flatnonzero(codes.well_formed & np.logical_and.reduce(alike))
    mates = mates[mates != epc]
    nearest = np.argsort(np.abs(codes.serial[mates] - codes.serial[epc]), kind="stable")[:most]
    found: list[int] = mates[nearest].tolist()
    return found


def stories(events: Events, response: pb.AnalyzeFilesResponse) -> list[Story]:
    """Return the incidents of an answer whose findings have causes, the largest first."""
    position = positions(events, [one.event_id for answer in response.files for one in answer.event_history])
    journeys = Journeys.of(events)
    row_of = np.empty(len(events), dtype=np.intp)
    row_of[journeys.order] = np.arange(len(events))
    code, number = {cause: at for at, cause in enumerate(CODES)}, {kind: at for at, kind in enumerate(KINDS)}
    # In the order of the events, as in each piece that was judged: the first of an incident is the one with a reason.
    findings = sorted(
        ((position[one.event_id], one) for answer in response.files for one in answer.event_history),
        key=itemgetter(0),
    )
    found = [
        (at, number[kind], code[cause], reason)
        for at, finding in findings
        for kind, cause, reason in causes_of(finding)
    ]
    position_of, kind, cause = (np.array([one[column] for one in found], dtype=np.intp) for column in range(3))
    told = []
    for incident in incidents(journeys, Findings(row_of[position_of], kind, cause)):
        at, kind_of, cause_of, reason = found[int(incident.findings[0])]
        of = np.unique(position_of[incident.findings])
        told.append(Story(KINDS[kind_of], CODES[cause_of], incident.items, of, at, reason))
    return told


def kinds_of(finding: pb.EventFinding) -> Iterator[tuple[str, float]]:
    """Yield the flagged kinds and their scores (0 to 100)."""
    for kind, name in FIELDS.items():
        if getattr(finding, name):
            yield kind, getattr(finding, f"{name}_score")


def causes_of(finding: pb.EventFinding) -> Iterator[tuple[str, str, str]]:
    """Yield the flagged kinds with their cause and reason, "" where none was asked for."""
    for kind, name in FIELDS.items():
        if getattr(finding, name):
            yield kind, getattr(finding, f"{name}_cause"), getattr(finding, f"{name}_reason")
