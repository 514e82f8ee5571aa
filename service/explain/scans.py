"""One event and one code in plain numbers, for sentences about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from service.events.vocabulary import EVENT_TYPES


class Scan(NamedTuple):
    """One event; a tuple, since there are several of each finding and a dataclass takes three times as long to make."""

    row: int
    event_id: int
    location_id: int
    place: int  # index in the reference
    kind: int  # a `type_index`
    level: int  # of the type, else of the step
    direction: int  # +1 inbound, -1 outbound, 0 neither
    time_us: int
    local_us: int  # what the clock of the place showed

    @property
    def is_known(self) -> bool:
        """Whether the type is one of the vocabulary: others have no place in the order of a journey."""
        return self.kind < len(EVENT_TYPES)

    def minutes_since(self, earlier: Scan) -> float:
        return (self.time_us - earlier.time_us) / 60e6


@dataclass(frozen=True, slots=True)
class Code:
    """The parts of one code, -1 each if it is malformed."""

    text: str
    header: int
    company: int
    product: int
    lot: int
    date: int
    day: int
    date_valid: bool
    serial: int
