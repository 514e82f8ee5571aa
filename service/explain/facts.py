"""What is true of one event: its journey and its code as they are, and what the reference knows of such ones."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from service.dialect.malformed import Malformed
from service.events import codes
from service.events.earth import EARTH_RADIUS_KM
from service.events.foreign import MARK, unguarded
from service.events.journeys import Journeys
from service.events.vocabulary import DIRECTION_OF_TYPE, LEVEL_OF_TYPE, TYPES, UNKNOWN
from service.explain.mates import Mates
from service.explain.norms import Norms
from service.explain.scans import Code, Scan
from service.features.case import Case
from service.features.columns import INSTANT_US
from service.features.reference import Reference
from service.features.table import INDEX


class Facts:
    """Facts of the events of one case, each worked out when it is asked for."""

    def __init__(self, case: Case, reference: Reference) -> None:
        self._scans: dict[int, Scan] = {}  # of numpy's numbers, made once: a journey is walked through again and again
        self.case, self.reference = case, reference
        self.causal = bool(case.features[:1, INDEX["causal"]].any())  # judged by the past alone
        self.norms = Norms(reference)
        self._events = case.journeys.events

    @cached_property
    def parts(self) -> codes.Codes:
        """The parts of all codes [U] of the case."""
        return codes.parse(self._events.epc_codes)

    @cached_property
    def mates(self) -> Mates:
        return Mates(self.case.journeys, self.parts, self._local_us, causal=self.causal)

    def levels_between(self, one: int, other: int) -> list[int]:
        """Return the levels of the network between two others, which are not among them."""
        dialect, (low, high) = self.reference.dialect, sorted((one, other))
        return [level for level in range(low + 1, high) if dialect is None or level in dialect.levels]

    @cached_property
    def _place(self) -> NDArray[np.int64]:
        return self.reference.place_of(self._events.location_id)

    @cached_property
    def _local_us(self) -> NDArray[np.int64]:
        return self.reference.zones.local_us(self._events.time_us, self._events.location_id)

    @cached_property
    def _begins(self) -> NDArray[np.intp]:
        journeys: Journeys = self.case.journeys
        return journeys.spread(journeys.start)

    def scan(self, row: int) -> Scan:
        scan = self._scans.get(row)
        if scan is None:
            scan = self._scans[row] = Scan(row, *self._numbers[:, row].tolist())
        return scan

    @cached_property
    def _numbers(self) -> NDArray[np.int64]:
        """What a `Scan` says of each event, [8, N] in its order: those of one event become plain numbers at once."""
        events = self._events
        level = LEVEL_OF_TYPE[events.event_type]
        return np.array(
            (
                events.event_id,
                events.location_id,
                self._place,
                events.event_type % TYPES,
                np.where(level == UNKNOWN, events.step, level),
                DIRECTION_OF_TYPE[events.event_type],
                events.time_us,
                self._local_us,
            ),
            dtype=np.int64,
        )

    def first(self, row: int) -> Scan:
        return self.scan(int(self._begins[row]))

    def previous(self, row: int) -> Scan | None:
        return self.scan(row - 1) if row > self._begins[row] else None

    def next(self, row: int) -> Scan | None:
        """Return the next scan of the journey, None in a causal judgement."""
        return self.scan(row + 1) if row + 1 < self.end(row) else None

    def end(self, row: int) -> int:
        """Return the row behind the last event of the journey that the judgement saw."""
        begin = int(self._begins[row])
        return row + 1 if self.causal else begin + int(self.case.journeys.length[self._events.epc[row]])

    def earlier(self, row: int) -> Iterator[Scan]:
        """Return the earlier scans of the journey, the latest first."""
        return (self.scan(at) for at in range(row - 1, int(self._begins[row]) - 1, -1))

    def others(self, row: int) -> Iterator[Scan]:
        """Return the other scans of the journey that the judgement saw."""
        return (self.scan(at) for at in range(int(self._begins[row]), self.end(row)) if at != row)

    def in_its_second_elsewhere(self, row: int) -> Scan | None:
        """Return a scan of the item at another place, less than a second before or after: causally known, too."""
        scan, begin = self.scan(row), int(self._begins[row])
        end = begin + int(self.case.journeys.length[self._events.epc[row]])
        near = np.abs(self._events.time_us[begin:end] - scan.time_us) < INSTANT_US
        elsewhere = np.flatnonzero(near & (self._events.location_id[begin:end] != scan.location_id))
        return self.scan(begin + int(elsewhere[0])) if len(elsewhere) else None

    def is_foreign(self, row: int) -> bool:
        """Return whether the code of an event is one of another scheme."""
        return self._events.epc_codes[int(self._events.epc[row])].startswith(MARK)

    def why_malformed(self, row: int) -> Malformed | None:
        """Return why the code of an event is none of the network's scheme, None of one of the model's own."""
        return None if self.reference.dialect is None else self.reference.dialect.why_malformed(self.code(row).text)

    def code(self, row: int) -> Code:
        item, parts = int(self._events.epc[row]), self.parts
        return Code(
            unguarded(self._events.epc_codes[item], self.reference.dialect is not None),
            int(parts.header[item]),
            int(parts.company[item]),
            int(parts.product[item]),
            int(parts.lot[item]),
            int(parts.date[item]),
            int(parts.day[item]),
            bool(parts.date_valid[item]),
            int(parts.serial[item]),
        )

    def kilometres(self, one: Scan, other: Scan) -> float | None:
        """Return the great-circle distance, None where coordinates are not known."""
        vectors = self.reference.unit_vectors
        x, y, z = (vectors[one.place] - vectors[other.place]).tolist()
        chord = math.sqrt(x * x + y * y + z * z)
        return None if math.isnan(chord) else 2 * EARTH_RADIUS_KM * math.asin(min(chord / 2, 1.0))
