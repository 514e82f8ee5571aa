"""How a network trades: its rhythms, its codes, its noise and its anomalies; the defaults are those of the real one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Noise:
    """Harmless noise, as shares of the events."""

    late: float = 0.012
    missed: float = 0.012
    repeated: float = 0.012
    returned: float = 0.006
    spells: int = 24  # in which a gate is blind, of each place
    spell_hours: tuple[float, float] = (3.0, 24.0)  # log-uniform
    unread: tuple[float, float] = (0.4, 0.9)  # share of the items that a blind gate misses, drawn per spell


@dataclass(frozen=True, slots=True)
class Habits:
    """How a network trades."""

    header: int = 1  # of its codes
    days: int = 169  # observation window, from 2025-07-01 on
    events_per_epc: float = 4.6
    steps: tuple[int, ...] = tuple(range(10))  # event types of a normal journey that the network has
    work_hours: tuple[int, int] = (7, 22)  # of outbound scans
    shop_hours: tuple[int, int] = (9, 22)
    rest_day: int = 5  # day of the week on which nothing leaves, counted from 2025-07-01; -1: there is none
    # Median stay in days, and sigma of its log: warehouse, hub, wholesaler, retailer's stock, shelf.
    dwell_days: tuple[float, ...] = (45.0, 30.0, 34.0, 26.0, 26.0)
    dwell_spread: tuple[float, ...] = (0.6, 0.6, 0.5, 0.6, 0.8)
    least_days: float = 1.0  # of a stay
    packing_minutes: tuple[int, int] = (10, 90)
    strewn_s: int = 0  # seconds within which the items of a shipment pass, in any order; 0: in the order of serials
    group_sizes: tuple[int, int, int] = (60, 20, 6)  # mean items of a shipment, of its parts for wholesaler, retailer
    slow_days: float = 0.08  # share of an area's days on which all roads into it are slow
    slow_by: tuple[float, float] = (1.5, 2.5)  # times as long, drawn per area and day
    noise: Noise = field(default_factory=Noise)
    shares: Mapping[str, float] = field(  # of all events that carry each label
        default_factory=lambda: {
            "epcFake": 0.010,
            "epcDup": 0.010,
            "locErr": 0.030,
            "evtOrderErr": 0.010,
            "jump": 0.020,
        }
    )
    weights: Mapping[str, float] = field(default_factory=dict)  # of variants among those of their kind, 1 if not named

    @property
    def end(self) -> int:
        """Last second of the observation window, counted from 2025-07-01 00:00:00."""
        return self.days * _DAY - 1

    def before(self, step: int) -> int:
        """Return the inbound step of the level above an inbound step, -1 if there is none."""
        return max((each for each in self.inbound if each < step), default=-1)

    def after(self, step: int) -> int:
        """Return the step that follows one, -1 if none does."""
        return min((each for each in self.steps if each > step), default=-1)

    @property
    def inbound(self) -> tuple[int, ...]:
        """The inbound steps, upstream first."""
        return tuple(step for step in (1, 3, 5, 7) if step in self.steps)
