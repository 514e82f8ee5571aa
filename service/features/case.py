"""What a detector judges: the events that are asked for, among all that is known of their journeys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.events.columns import Events
from service.events.groups import Index
from service.events.journeys import Journeys
from service.events.vocabulary import OperatingPoint
from service.features.past import Past
from service.features.reference import Reference
from service.features.running_groups import Sighting
from service.features.table import compute, compute_after
from service.model.sequences import Windows, prefix_windows, whole_windows
from service.runtime.timing import timed


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """N events with their features, of which A are asked for."""

    journeys: Journeys
    features: NDArray[np.float32]  # [N, F] in the order of the journeys
    rows: Index  # [A] where the asked events stand in the journeys, in the order asked
    sighting: Sighting | None = None  # the groups of the fresh events after a past, None if there are no such events
    spared: NDArray[np.bool_] | None = None  # [N] events of another network, whose codes are spared; None: none is so

    @classmethod
    def of(
        cls,
        events: Events,
        reference: Reference,
        *,
        causal: bool,
        asked: Index | None = None,
        scope: NDArray[np.int32] | None = None,
    ) -> Case:
        """Return the case of ``events`` [N]; ``asked`` [A] are positions in them, None asks for all.

        ``scope`` is that of `compute`.
        """
        journeys, rows = _grouped(events, asked)
        with timed("features", len(events)):
            table = compute(journeys, reference, causal=causal, scope=scope)
        return cls(journeys, table, rows)

    @classmethod
    def after(cls, past: Past, events: Events, reference: Reference, asked: Index | None = None) -> Case:
        """Return the causal case of ``events`` [N] after a ``past``, otherwise as `of`."""
        journeys, rows = _grouped(events, asked)
        with timed("features", len(events)):
            table, sighting = compute_after(past, journeys, reference)
        return cls(journeys, table, rows, sighting)

    def part(self, events: Events, begin: int) -> Case:
        """Return the case of one of the requests that this one was joined of (`join`), all events of which it asks.

        Its ``events`` [n] stand from ``begin`` on in the joined ones, and in the journeys as well: codes are numbered
        request by request.
        """
        these = slice(begin, begin + len(events))
        with timed("group", 0):  # these events were counted when all of them were grouped
            journeys = Journeys.of(events)
        return Case(journeys, self.features[these], self.rows[these] - begin)


def _grouped(events: Events, asked: Index | None) -> tuple[Journeys, Index]:
    """Return (the journeys of ``events``, [A] the rows in them of the ``asked`` ones)."""
    with timed("group", len(events)):
        journeys = Journeys.of(events)
        row_of = np.empty(len(events), dtype=np.intp)
        row_of[journeys.order] = np.arange(len(events))
    return journeys, row_of if asked is None else row_of[asked]


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """The events of a request, judged causally or as whole journeys."""

    events: Events  # [A] in the order asked
    causal: bool
    given: Case | None = None  # where the features are there, as where history knows more than the request
    given_by: Reference | None = None  # whose tables they are by, where others are to look things up in their own
    point: OperatingPoint | None = None  # None: as the gateway is set
    wanted_by: Reference | None = None  # judgements by these tables bring their case along, for reasons

    def __len__(self) -> int:
        return len(self.events)

    def case(self, reference: Reference) -> Case:
        """Return the events with their features: those given, else worked out."""
        if self.given is not None and (self.given_by is None or self.given_by is reference):
            return self.given
        return Case.of(self.events, reference, causal=self.causal)

    def with_case(self, reference: Reference) -> View:
        """Return the view with its case given, for several who judge by the same features."""
        case = self.case(reference)
        return replace(self, given=case, given_by=self.given_by if case is self.given else reference)

    def windows(self, case: Case, limit: int) -> Windows:
        """Return windows of at most ``limit`` events that answer for the A asked events."""
        cut = prefix_windows if self.causal else whole_windows
        with timed("group", 0):  # these events were counted when they were grouped
            return cut(case.journeys, limit).answering(case.rows)


def join(requests: Sequence[Events]) -> tuple[Events, NDArray[np.int32]]:
    """Return the events of several requests as one, one after the other, and the request [U] of each of its codes."""
    codes = [len(events.epc_codes) for events in requests]
    first = np.cumsum([0, *codes[:-1]]).tolist()  # an EPC in two requests is two: each is judged by its request alone
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(events, name) for events in requests])
        for name in ("event_id", "location_id", "step", "event_type", "time_us", "file_id")
    }
    epc = np.concatenate([events.epc + np.int32(offset) for events, offset in zip(requests, first, strict=True)])
    joined = Events(epc=epc, epc_codes=[code for events in requests for code in events.epc_codes], **columns)
    return joined, np.repeat(np.arange(len(requests), dtype=np.int32), codes)
