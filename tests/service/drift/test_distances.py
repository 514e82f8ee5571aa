"""The numbers of drift: p-values, and the correlation inside of clusters."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from service.drift.distances import intraclass_correlation, p_value


def test_the_p_value_is_that_of_kolmogorov_where_nothing_is_rare() -> None:
    expected = np.full((1, 1), 0.5)  # at the median the other statistic is no better
    for distance in (0.05, 0.08, 0.1):
        found = p_value(expected + distance, expected, np.array([400.0]))[0]
        corrected = (20 + 0.12 + 0.11 / 20) * distance
        by_chernoff = np.exp(-400 * stats.entropy([0.5 + distance, 0.5 - distance], [0.5, 0.5]))
        assert found == pytest.approx(min(1, 2 * min(stats.kstwobign.sf(corrected), by_chernoff)), rel=1e-6)


def test_what_is_unheard_of_is_rejected_where_the_distance_is_small() -> None:
    rare = np.array([[0.99, 0.995]])
    assert p_value(np.array([[0.85, 0.9]]), rare, np.array([100.0]))[0] < 1e-5
    assert stats.kstwobign.sf(10 * 0.14) > 0.03


def test_the_correlation_inside_clusters_is_found() -> None:
    rng = np.random.default_rng(1)
    cluster = np.repeat(np.arange(100), 50)
    for between in (0.0, 0.1, 0.5):
        values = np.sqrt(between) * rng.normal(size=100)[cluster] + np.sqrt(1 - between) * rng.normal(size=5_000)
        assert intraclass_correlation(values[:, None], cluster) == pytest.approx(between, abs=0.08)
    assert intraclass_correlation(values[:, None], np.zeros(5_000, dtype=np.intp)) == 1.0  # nothing is known
