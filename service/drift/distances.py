"""Statistics of drift: histograms, correlation inside clusters, distances, and how likely they are by chance."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

POWER_Z = 0.8416
"""The standard normal's 80 % quantile."""

Shares = NDArray[np.float64]

_CUTS = 32
_IMPOSSIBLE = 1e-3
_PSI_BINS = 10


def histogram(values: NDArray[np.float32], cluster: NDArray[np.intp], cuts: NDArray[np.float32]) -> dict[str, Any]:
    """Return counts between ``cuts`` (ascending) of ``values`` [N], and their correlation inside clusters [N]."""
    place = np.searchsorted(cuts, values)
    below = (place[:, None] <= np.arange(len(cuts))).astype(np.float64)
    return {
        "cuts": [float(cut) for cut in cuts],
        "counts": np.bincount(place, minlength=len(cuts) + 1).tolist(),
        "icc": round(intraclass_correlation(below, cluster), 6),
    }


def quantile_cuts(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return cuts at equal shares of ``values`` [N], one just below the least and one at the greatest of them."""
    quantiles = np.quantile(values, np.linspace(0, 1, _CUTS + 1), method="lower")
    return np.unique(np.concatenate(([np.nextafter(quantiles[0], np.float32(-np.inf))], quantiles)).astype(np.float32))


def intraclass_correlation(indicators: NDArray[np.float64], cluster: NDArray[np.intp]) -> float:
    """Return the share 0 .. 1 of the variance of ``indicators`` [N, C] that is between clusters [N].

    The estimator of the one-way analysis of variance, its sums taken over all columns; 1 for fewer than three clusters,
    which say nothing of how clusters differ.
    """
    _, index, size = np.unique(cluster, return_inverse=True, return_counts=True)
    clusters, n = len(size), len(cluster)
    if clusters < 3 or n <= clusters:
        return 1.0
    sums = np.zeros((clusters, indicators.shape[1]))
    np.add.at(sums, index, indicators)
    means = sums / size[:, None]
    between = float((size[:, None] * (means - indicators.mean(axis=0)) ** 2).sum() / (clusters - 1))
    within = float(((indicators - means[index]) ** 2).sum() / (n - clusters))
    usual_size = (n - float((size**2).sum()) / n) / (clusters - 1)
    component = max(between - within, 0.0) / usual_size
    return component / (component + within) if component > 0 else 0.0


def p_value(below: Shares, expected: Shares, size: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the chance [S] that a sample differs so much from the expected distribution.

    That of the Kolmogorov-Smirnov distance, asymptotic with the correction of Stephens (1970); or, where it is smaller,
    that of the statistic of Berk and Jones (1979), max kl(F_live(c), F(c)), by Chernoff's bound, times the cuts.
    The first assumes a continuous distribution, and is blind where nearly all values are the same: 20 % findings
    instead of 2 % are a small distance, but unheard of. The smaller one is doubled, since either may reject.

    Args:
        below: [S, C] share of the sample up to each cut.
        expected: [S, C] what it should be; equal neighbours and those at 1 are one cut.
        size: [S] independent events of the sample; n m / (n + m) if n are compared with m.
    """
    root = np.sqrt(size)
    x = (root + 0.12 + 0.11 / root) * np.abs(below - expected).max(axis=1)
    k = np.arange(1, 101)[:, None]
    smirnov = 2.0 * ((-1.0) ** (k - 1) * np.exp(-2.0 * k**2 * x**2)).sum(axis=0)
    smirnov = np.where(x < 0.2, 1.0, smirnov)  # where the series does not converge
    chernoff = distinct(expected) * np.exp(-size * kullback_leibler(below, expected).max(axis=1))
    p: NDArray[np.float64] = np.clip(2.0 * np.minimum(smirnov, chernoff), 0.0, 1.0)
    return p


def detectable(expected: Shares, size: NDArray[np.float64], live: NDArray[np.float64], level: float) -> Shares:
    """Return the distance [S] from which on a `p_value` is under ``level`` in 8 of 10 samples, wherever it arises.

    ``size`` as in `p_value`; ``live`` [S] independent events of the sample; infinite if nothing is detectable.
    """
    steps = np.linspace(0.005, 1.0, 200)
    root = np.sqrt(size)
    smirnov = (np.sqrt(-0.5 * np.log(level / 4.0)) / (root + 0.12 + 0.11 / root))[:, None]
    enough = (np.log(2.0 * distinct(expected) / level) / size)[:, None]  # kl that rejects
    worst = np.zeros(len(expected))
    for sign in (1.0, -1.0):
        room = np.where(sign > 0, 1.0 - expected, expected)  # no distance can be larger at this cut
        need = np.minimum(smirnov, room)
        for step in steps[::-1]:
            moved = np.clip(expected + sign * step, 0.0, 1.0)
            rejects = (step <= room + 1e-9) & (kullback_leibler(moved, expected) >= enough)
            need = np.where(rejects, np.minimum(need, step), need)
        moved = np.clip(expected + sign * need, 0.0, 1.0)
        worst = np.maximum(worst, (need + POWER_Z * np.sqrt(moved * (1.0 - moved) / live[:, None])).max(axis=1))
    return np.where(worst > 1.0, np.inf, worst)


def distinct(expected: Shares) -> NDArray[np.intp]:
    """Return the number [S] of cuts that differ: a filler repeats the one before it."""
    return np.asarray(1 + (np.diff(expected, axis=1) > 0).sum(axis=1), dtype=np.intp)


def kullback_leibler(found: Shares, expected: Shares) -> NDArray[np.float64]:
    """Return kl(found, expected) of Bernoulli variables; impossible ones count as one in a thousand."""
    p = np.clip(expected, _IMPOSSIBLE, 1.0 - _IMPOSSIBLE)
    with np.errstate(divide="ignore", invalid="ignore"):
        divergence = found * np.log(found / p) + (1.0 - found) * np.log((1.0 - found) / (1.0 - p))
        divergence = np.where(found <= 0.0, -np.log(1.0 - p), np.where(found >= 1.0, -np.log(p), divergence))
    return np.asarray(divergence, dtype=np.float64)


def effective(events: int, icc: NDArray[np.float64], per_cluster: float) -> NDArray[np.float64]:
    """Return how many independent events so many are worth, ``per_cluster`` of which are alike (Kish, 1965)."""
    worth: NDArray[np.float64] = events / (1.0 + (per_cluster - 1.0) * icc)
    return worth


def psi_bins(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 0 or 1 [S, 10, C]: neighbours in ``shares`` [S, C] put together into bins of about a tenth each."""
    middle = np.cumsum(shares, axis=1) - shares / 2
    number = np.minimum((middle * _PSI_BINS).astype(np.intp), _PSI_BINS - 1)
    bins: NDArray[np.float64] = (number[:, None, :] == np.arange(_PSI_BINS)[:, None]).astype(np.float64)
    return bins


def psi(expected: NDArray[np.float64], observed: NDArray[np.float64], events: int) -> NDArray[np.float64]:
    """Return the population stability index [S] of shares [S, bins]; half an event stands for an empty bin."""
    least = 0.5 / events
    p, q = np.maximum(expected, least), np.maximum(observed, least)
    return np.asarray(((q - p) * np.log(q / p)).sum(axis=1), dtype=np.float64)
