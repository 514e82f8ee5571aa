"""How far events are from those that a network knows, feature by feature: by the histograms that it was checked on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.features import table as features
from training.runs.drift_histograms import Served


class Strangeness(NamedTuple):
    """How strange one feature is."""

    feature: str
    distance: float  # 0 .. 1, of Kolmogorov and Smirnov: the most that a share of events up to a value differs
    outside: float  # 0 .. 1 of the events have a value that it never saw


def strangeness(known: Mapping[str, Any], served: Served) -> list[Strangeness]:
    """Return how strange each feature is, the strangest first, for the histograms of one mode of a manifest.

    Raises:
        KeyError: the manifest lacks the histogram of a feature.
    """
    by_name = known["histograms"]
    found = [_of_feature(name, by_name[name], served.table[:, column]) for column, name in enumerate(features.NAMES)]
    return sorted(found, key=lambda one: -one.distance)


def _of_feature(name: str, histogram: Mapping[str, Any], values: NDArray[np.float32]) -> Strangeness:
    cuts = np.array(histogram["cuts"], dtype=np.float32)
    expected = np.array(histogram["counts"], dtype=np.float64)
    observed = np.bincount(np.searchsorted(cuts, values), minlength=len(cuts) + 1)
    shares = [np.cumsum(counts / counts.sum()) for counts in (expected, observed)]
    outside = (values <= cuts[0]) | (values > cuts[-1])
    return Strangeness(name, round(float(np.abs(shares[0] - shares[1]).max()), 4), round(float(outside.mean()), 4))
