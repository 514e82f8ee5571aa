"""What can be chosen of an adoption."""

from __future__ import annotations

from dataclasses import dataclass

from service.dialect.dialect import Dialect
from service.events.zones import SEOUL

MIN_EPCS = 500
"""Fewer items teach no lane and no lot: the tables would take chance for the rule."""

MIN_EVENTS = 2_000
"""Fewer events, likewise."""


@dataclass(frozen=True, slots=True)
class AdoptSettings:
    """How to adopt; the defaults are those of the command."""

    alarms_per_10000: float | None = None  # findings in 10,000 events, all kinds together; None: within the budget
    keep_cuts: bool = False  # without wanted alarms: the cuts of the source as they are
    time_zone: str = SEOUL  # of the places of which locations.csv says none
    dialect: Dialect | None = None  # how the network of the data writes its events
    most_rounds: int = 12  # of judging and learning again; more: it does not settle
    settled_share: float = 0.0005  # of the events that change sides in a round, at most, when the tables have settled
    settled_events: int = 5  # or so many: of few data the share is less than the events of an item
    most_aside: float = 0.35  # of the events; more: the network does not know what is normal here
    plant: bool = True  # known faults, to estimate how far each kind can be trusted
    seed: int = 7  # of the planted faults
