"""Who goes apart from those it was packed with: neighbouring serials of a shipment, and mates left behind."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from service.events.journeys import Journeys
from service.features.table import INDEX, compute
from tests.support import worlds
from tests.support.worlds import Scan, code, journey, to_events

_HUB = 3  # the scan at the hub
_HOURS = (0.0, 1.0, 100.0, 110.0)


def _seen(scans: list[Scan], at: int, *, causal: bool, serial_step: float = 1.0) -> dict[str, float]:
    """Return the features of ``scans[at]``."""
    journeys = Journeys.of(to_events(scans))
    known = replace(worlds.reference(), serial_step=serial_step)
    row: NDArray[np.float32] = compute(journeys, known, causal=causal)[int(np.flatnonzero(journeys.order == at)[0])]
    return {name: float(row[column]) for name, column in INDEX.items()}


def _with(item: list[Scan], others: dict[int, tuple[float, ...]], **of: int) -> list[Scan]:
    """Return the scans of an item, then those of its mates by their serials and hours."""
    return [*item, *(scan for serial, hours in others.items() for scan in journey(code(serial, **of), hours=hours))]


@pytest.mark.parametrize("causal", [False, True])
def test_left_from_the_middle_of_what_went_together(*, causal: bool) -> None:
    late = journey(code(4_005), hours=(0, 1, 400))
    seen = _seen(_with(late, {4_003: (0, 1, 100), 4_007: (0, 1, 100)}), 2, causal=causal)
    assert seen["neighbour_below_gap_ratio"] == pytest.approx(math.log1p(399 * 60) - math.log1p(99 * 60), abs=1e-5)
    assert seen["neighbour_above_gap_ratio"] == seen["neighbour_below_gap_ratio"]
    assert seen["neighbours_gap_difference"] == 0
    assert seen["neighbours_beside"] == 0


@pytest.mark.parametrize("causal", [False, True])
def test_a_run_of_serials_of_its_own_has_neighbours_that_went_at_different_times(*, causal: bool) -> None:
    own = journey(code(4_005), hours=(0, 1, 400))
    others = {4_004: (0.0, 1.0, 100.0), 4_006: (0.0, 1.0, 400.0), 4_007: (0.0, 1.0, 200.0)}
    seen = _seen(_with(own, others), 2, causal=causal)
    assert seen["neighbours_beside"] == pytest.approx(math.log(2)), "4006 went with it"
    assert seen["neighbours_gap_difference"] == pytest.approx(math.log1p(199 * 60) - math.log1p(99 * 60), abs=1e-5)


def test_neighbours_that_have_not_left_yet_are_not_known_causally() -> None:
    scans = _with(journey(code(4_005), hours=(0, 1, 50)), {4_004: (0, 1, 100), 4_006: (0, 1, 100)})
    assert _seen(scans, 2, causal=True)["neighbours_gap_difference"] == -1
    assert _seen(scans, 2, causal=False)["neighbours_gap_difference"] == 0


def test_those_of_another_shipment_lot_or_further_off_are_no_neighbours() -> None:
    own = journey(code(4_005), hours=(0, 1, 400))
    for others, of in (
        ({4_004: (0, 30, 100), 4_006: (0, 30, 100)}, {}),  # came at another time
        ({4_004: (0, 1, 100), 4_006: (0, 1, 100)}, {"lot": worlds.OTHER_LOT}),
        ({3_999: (0, 1, 100), 4_011: (0, 1, 100)}, {}),
    ):
        seen = _seen(_with(own, others, **of), 2, causal=False)
        assert (seen["neighbours_gap_difference"], seen["neighbour_below_gap_ratio"]) == (-1, 0)


def test_neighbours_are_a_step_of_the_network_apart() -> None:
    scans = _with(journey(code(4_000), hours=(0, 1, 400)), {3_990: (0, 1, 100), 4_010: (0, 1, 100)})
    assert _seen(scans, 2, causal=False)["neighbours_gap_difference"] == -1
    assert _seen(scans, 2, causal=False, serial_step=10.0)["neighbours_gap_difference"] == 0


def test_who_overtakes_leaves_mates_behind() -> None:
    first = [one for serial in range(4_000, 4_004) for one in journey(code(serial), hours=_HOURS)]
    fast = journey(code(4_004), hours=(0, 1, 100, 105))
    scans = [*first, *fast]
    assert _seen(scans, len(first) + _HUB, causal=True)["mates_left_behind"] == pytest.approx(math.log1p(4))
    assert _seen(scans, len(first) + _HUB, causal=False)["mates_left_behind"] == 0
    assert _seen(scans, _HUB, causal=True)["mates_left_behind"] == 0
    assert _seen(scans, _HUB - 1, causal=True)["gate_mates"] == pytest.approx(math.log1p(4))


def test_serials_that_are_no_small_numbers_have_neighbours_or_none() -> None:
    """Of other schemes they have up to 18 digits; steps may be as large."""
    for serial, step in ((4_000, 1e18), (4_000, 1e300)):
        seen = _seen(_with(journey(code(serial)), {serial + 1: _HOURS}), 2, causal=False, serial_step=step)
        assert seen["neighbours_beside"] == 0
