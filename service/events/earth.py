"""How far apart are two places on the globe? What all who measure it agree on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

EARTH_RADIUS_KM = 6371.0
"""Of a sphere of the volume of the Earth."""


def great_circle_km(
    north: NDArray[np.float64],
    east: NDArray[np.float64],
    other_north: NDArray[np.float64],
    other_east: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the distances by the haversine formula, of latitudes and longitudes in radians, shaped as they broadcast.

    NaN where one of them is; accurate for small distances too.
    """
    half = np.sin((north - other_north) / 2) ** 2
    half += np.cos(north) * np.cos(other_north) * np.sin((east - other_east) / 2) ** 2
    km: NDArray[np.float64] = 2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(half))
    return km
