"""Drift: do the events of today look like those that the model was checked on? By feature and by score.

Live events are compared with the reference histograms of the manifest, one window after the other:

- From each pass a few events are drawn, one per item at most, until a window is full (200 events by default).
- The distance is that of Kolmogorov and Smirnov, D = max |F_live(c) - F_reference(c)| over the cuts c of the histogram.
- Items of one shipment and of one week resemble each other, so 200 events say less than 200 independent ones would. The
  manifest has the intraclass correlation of each feature among neighbours in time, and a window of n events counts as
  n / (1 + (n - 1) icc) independent ones (Kish, Survey Sampling, 1965). What depends on lot, product or calendar has a
  high correlation, and so raises no alarm because a new lot is on its way.
- The p-value (`distances.p_value`) has to pass the level divided by the number of tests (Bonferroni).
- Two windows in a row that are rejected are an alarm.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.drift.distances import detectable, effective, p_value, psi, psi_bins
from service.events.groups import members_of
from service.events.vocabulary import KINDS, MODES
from service.features.case import Case, View
from service.features.table import COMPANIONS, NAMES

SCORE_CUTS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 0.95)
"""Scores are compared by these: 0.0001 against 0.0002 is no drift."""

LEVEL = 0.01
"""Chance that a window of stationary traffic is rejected, over all features and scores of a mode."""

_DRAWN_LEAST = 8  # events of a pass, of different items
_ITEMS_PER_DRAW = 25
_NAMES = (*NAMES, *(f"score_{kind}" for kind in KINDS))
_COMPANIONS = frozenset(NAMES[COMPANIONS])  # they depend on how much comes in one request


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What one window showed; arrays are [S], by the names of the reference."""

    distance: NDArray[np.float64]
    p: NDArray[np.float64]
    psi: NDArray[np.float64]
    rejected: NDArray[np.bool_]


class DriftReference:
    """The distributions of S features and scores of one mode."""

    def __init__(self, content: Mapping[str, Any], window: int, most: int) -> None:
        """Read what `histogram` wrote; ``window`` live events are compared with ``most`` reference events at most.

        Raises:
            KeyError, TypeError, ValueError: it is none of ours.
        """
        by_name = content["histograms"]
        self.names = tuple(name for name in _NAMES if name in by_name)
        found = [by_name[name] for name in self.names]
        width = max(len(one["cuts"]) for one in found)
        self.cuts = np.full((len(found), width), np.inf, dtype=np.float32)
        shares = np.zeros((len(found), width + 1))
        for row, one in enumerate(found):
            cuts, counts = one["cuts"], np.array(one["counts"], dtype=np.float64)
            self.cuts[row, : len(cuts)] = cuts
            shares[row, : len(counts)] = counts / counts.sum()
        self.below = np.cumsum(shares, axis=1)[:, :-1]  # F_reference at each cut
        self._bins = psi_bins(shares)  # [S, bins, cuts + 1] which go into one bin of PSI
        self._expected = np.einsum("sbc,sc->sb", self._bins, shares)
        self._icc = np.array([float(one["icc"]) for one in found])
        live = effective(window, self._icc, window)
        known = effective(int(content["events"]), self._icc, int(content["events"]) / int(content["clusters"]))
        self._size = 1.0 / (1.0 / live + 1.0 / np.minimum(known, most))
        companions = np.array([name in _COMPANIONS for name in self.names])
        # What no distance can prove is not tested, so that it does not weaken the other tests.
        worst = p_value(np.ones_like(self.below), np.zeros_like(self.below), self._size)
        self.tested = ~companions & (worst < LEVEL / len(found))
        self._level = LEVEL / max(int(self.tested.sum()), 1)
        self.detectable = detectable(self.below, self._size, live, self._level)

    def compare(self, values: NDArray[np.float32]) -> Result:
        """Return what a window ``values`` [n, S] shows."""
        # [S, C] shares up to each cut; sorted, as comparing all with all takes three times as long.
        sorted_up = np.sort(values.T, axis=1)
        counts = [np.searchsorted(one, cuts, side="right") for one, cuts in zip(sorted_up, self.cuts, strict=True)]
        at_cuts = np.array(counts) / len(values)
        distance = np.abs(at_cuts - self.below).max(axis=1)
        p = p_value(at_cuts, self.below, self._size)
        shares = np.diff(at_cuts, prepend=0.0, append=1.0, axis=1)
        observed = np.einsum("sbc,sc->sb", self._bins, shares)
        return Result(distance, p, psi(self._expected, observed, len(values)), self.tested & (p < self._level))


class Monitor:
    """Windows of live events of one mode."""

    def __init__(self, reference: DriftReference, window: int) -> None:
        """Start with an empty window."""
        self.reference = reference
        self.windows = 0
        self.rejected = 0
        self.result: Result | None = None  # of the last full window
        self.alarm = False
        self._window = np.empty((window, len(reference.names)), dtype=np.float32)
        self._filled = 0
        self._last_rejected = False

    def add(self, values: NDArray[np.float32]) -> None:
        """Take events [n, S]; a full window is compared, and the next one begins."""
        while len(values):
            fits = values[: len(self._window) - self._filled]
            self._window[self._filled : self._filled + len(fits)] = fits
            self._filled += len(fits)
            values = values[len(fits) :]
            if self._filled == len(self._window):
                self._compare()

    def _compare(self) -> None:
        self._filled = 0
        self.result = self.reference.compare(self._window)
        rejected = bool(self.result.rejected.any())
        self.windows += 1
        self.rejected += rejected
        self.alarm = rejected and self._last_rejected
        self._last_rejected = rejected

    def summary(self) -> dict[str, Any]:
        """Return the state as JSON values, the most distant feature first."""
        names, result = self.reference.names, self.result
        shown = {
            "windows": self.windows,
            "rejected_windows": self.rejected,
            "alarm": self.alarm,
            "events_of_window": len(self._window),
            "events_waiting": self._filled,
            "tests": int(self.reference.tested.sum()),
        }
        if result is None:
            return shown | {"features": []}
        order = np.lexsort((-result.distance, result.p)).tolist()
        tested, least = self.reference.tested, self.reference.detectable
        return shown | {
            "features": [
                {
                    "name": names[at],
                    "distance": round(float(result.distance[at]), 4),
                    "p": float(f"{result.p[at]:.3g}"),
                    "psi": round(float(result.psi[at]), 4),
                    "detectable_distance": round(float(least[at]), 4) if tested[at] and least[at] <= 1 else None,
                    "rejected": bool(result.rejected[at]),
                }
                for at in order
            ]
        }


class Drift:
    """Both modes of one model version."""

    def __init__(self, histograms: Mapping[str, Any], *, window: int, most: int, seed: int = 0) -> None:
        """Args: ``histograms`` of the manifest, ``window`` live events, ``most`` reference events that count.

        Raises:
            ValueError: the manifest has no histograms of this kind: it was exported by an earlier release.
        """
        try:
            self.monitors = {mode: Monitor(DriftReference(histograms[mode], window, most), window) for mode in MODES}
        except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
            raise ValueError("the manifest has no histograms for drift: train and export again") from error
        self._columns = {
            mode: np.array([_NAMES.index(name) for name in monitor.reference.names])
            for mode, monitor in self.monitors.items()
        }
        self._rng = np.random.default_rng(seed)
        self._lock = threading.Lock()

    def watch(self, view: View, case: Case, scores: NDArray[np.float32]) -> None:
        """Draw from the A events of ``view`` that were judged, with their ``scores`` [A, 5]."""
        items = len(view.events.epc_codes)
        with self._lock:
            drawn = draw(view.events.epc, items, self._rng, drawn_of(items))
            self.monitors[MODES[int(view.causal)]].add(self.values(view, case, drawn, scores))

    def values(
        self, view: View, case: Case, drawn: NDArray[np.intp] | slice, scores: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return the features and scores [n, S] of the events at ``drawn`` in the order of the monitor's names."""
        table = np.concatenate([case.features[case.rows[drawn]], scores[drawn]], axis=1)
        return table[:, self._columns[MODES[int(view.causal)]]]


def draw(epc: NDArray[np.int32], items: int, rng: np.random.Generator, most: int) -> NDArray[np.intp]:
    """Return positions in ``epc`` [N], all codes under ``items``: a random event of each of ``most`` random items."""
    of_item, start = members_of(epc, items, np.arange(len(epc)))
    chosen = rng.permutation(items)[:most]
    begin, end = start[chosen], start[chosen + 1]
    return of_item[(begin + rng.random(len(chosen)) * (end - begin)).astype(np.intp)]


def drawn_of(items: int) -> int:
    """Return how many events are drawn from a pass over so many items."""
    return max(_DRAWN_LEAST, items // _ITEMS_PER_DRAW)
