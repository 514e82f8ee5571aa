"""What a detector judges: the events that are asked for, among all that is known of their journeys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.events.columns import Events
from service.events.groups import Index, Key
from service.events.journeys import Journeys
from service.features import table as features
from service.features.reference import Reference
from service.features.running_groups import Past
from service.model.sequences import Windows, prefix_windows, whole_windows
from service.runtime.timing import timed


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """N events with their features, of which A are asked for."""

    journeys: Journeys
    features: NDArray[np.float32]  # [N, F] in the order of the journeys
    rows: Index  # [A] where the asked events stand in the journeys, in the order asked

    @classmethod
    def of(  # noqa: PLR0913
        cls,
        events: Events,
        reference: Reference,
        *,
        causal: bool,
        asked: Index | None = None,
        past: Past | None = None,
        scope: Key | None = None,
    ) -> Case:
        """Return the case of ``events`` [N]; ``asked`` [A] are positions in them, None asks for all.

        ``past`` and ``scope`` are those of `features.compute`.
        """
        with timed("group", len(events)):
            journeys = Journeys.of(events)
            row_of = np.empty(len(events), dtype=np.intp)
            row_of[journeys.order] = np.arange(len(events))
        with timed("features", len(events)):
            table = features.compute(journeys, reference, causal=causal, past=past, scope=scope)
        return cls(journeys, table, row_of if asked is None else row_of[asked])


@dataclass(slots=True, eq=False)
class View:
    """The events of a request, judged causally or as whole journeys; features are worked out when they are needed."""

    events: Events  # [A] in the order asked
    causal: bool
    known: Case | None = None  # given where history knows more than the request

    def __len__(self) -> int:
        return len(self.events)

    def case(self, reference: Reference) -> Case:
        """Return the events with their features, worked out once."""
        if self.known is None:
            self.known = Case.of(self.events, reference, causal=self.causal)
        return self.known

    def windows(self, case: Case, limit: int) -> Windows:
        """Return windows of at most ``limit`` events that answer for the A asked events."""
        cut = prefix_windows if self.causal else whole_windows
        with timed("group", 0):  # these events were counted when they were grouped
            return cut(case.journeys, limit).answering(case.rows)


def join(requests: Sequence[Events]) -> tuple[Events, Key]:
    """Return the events of several requests as one, one after the other, and the request [U] of each of its codes."""
    codes = [len(events.epc_codes) for events in requests]
    first = np.cumsum([0, *codes[:-1]]).tolist()  # an EPC in two requests is two: each is judged by its request alone
    columns = {
        name: np.concatenate([getattr(events, name) for events in requests])
        for name in ("event_id", "location_id", "step", "event_type", "time_us", "file_id")
    }
    epc = np.concatenate([events.epc + np.int32(offset) for events, offset in zip(requests, first, strict=True)])
    joined = Events(epc=epc, epc_codes=[code for events in requests for code in events.epc_codes], **columns)
    return joined, Key(np.repeat(np.arange(len(requests)), codes), len(requests))
