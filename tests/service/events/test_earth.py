"""Distances on the globe."""

from __future__ import annotations

import math

import numpy as np

from service.events.earth import EARTH_RADIUS_KM, great_circle_km


def test_great_circles_are_exact_from_a_gate_to_the_other_side_of_the_globe() -> None:
    north = np.radians([0.0, 37.45, 90.0, np.nan])
    metres = 1e-3 / EARTH_RADIUS_KM
    along = great_circle_km(north, np.zeros(4), north + metres, np.zeros(4))
    np.testing.assert_allclose(along[:3], 1e-3, rtol=1e-6)
    assert np.isnan(along[3])
    [half_way] = great_circle_km(np.zeros(1), np.zeros(1), np.zeros(1), np.full(1, math.pi))
    assert math.isclose(half_way, math.pi * EARTH_RADIUS_KM)


def test_all_pairs_are_measured_at_once() -> None:
    north, east = np.radians([[10.0, 20.0, 30.0], [40.0, 50.0, 60.0]])
    km = great_circle_km(north[:, None], east[:, None], north, east)
    assert km.shape == (3, 3)
    np.testing.assert_array_equal(km, km.T)
    assert not km.diagonal().any()
