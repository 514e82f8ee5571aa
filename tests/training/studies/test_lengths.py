"""Lengths: correlation by lag, and the shortest window that is good enough."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from service.events.journeys import Journeys
from service.events.vocabulary import KINDS, MODES
from tests.support.worlds import code, journey, masters, to_events
from training.fitting.calibrated import Fitted
from training.samples.labelled_data import Material
from training.studies import lengths


def test_correlation_is_pearsons() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 500, 3)).astype(np.float32)
    y[:, 1] = 2 * x[:, 1] + y[:, 1]
    y[:, 2] = 7
    found = lengths.correlation(x, y)
    for column in range(2):
        assert found[column] == pytest.approx(np.corrcoef(x[:, column], y[:, column])[0, 1], abs=1e-5)
    assert np.isnan(found[2])


def test_lags_count_events_of_the_same_journey() -> None:
    """Every second event of a journey is labelled: neighbours differ, those two apart agree."""
    scans = [scan for serial in range(40) for scan in journey(code(serial))]
    events = to_events(scans)
    labels = np.zeros((len(events), len(KINDS)), dtype=np.float32)
    labels[Journeys.of(events).position[np.argsort(Journeys.of(events).order)] % 2 == 1, 4] = 1
    labelled = Material(events, labels, np.zeros(40, dtype=np.int8), masters(), max_length=32)
    table = lengths.autocorrelation(labelled)
    assert table.loc[1, "jump"] == pytest.approx(-1, abs=0.05)
    assert table.loc[2, "jump"] == pytest.approx(1, abs=0.05)
    assert table["pairs"].tolist() == [40 * (10 - lag) for lag in table.index]
    assert np.isnan(table.loc[1, "epcFake"])


def test_the_shortest_good_length_is_chosen(labelled: Material, fitted: Fitted, tmp_path: Path) -> None:
    ap = dict(zip(lengths.LENGTHS, (0.5, 0.8, 0.8995, 0.9, 0.901, 0.9), strict=True))
    seen: list[int] = []

    def trained(material: Material, _what: str) -> Fitted:
        seen.append(material.max_length)
        assert (
            max(part.windows.length.max() for part in material.samples("test", material.reference("train"))) <= seen[-1]
        )
        return replace(fitted, curves=[dict.fromkeys(MODES, 0.1), dict.fromkeys(MODES, ap[material.max_length])])

    sheets, chosen = lengths.study_lengths(labelled, trained, tmp_path)
    assert (seen, chosen) == ([*lengths.LENGTHS], 4)
    assert [row[0] for row in sheets[1].rows] == [str(length) for length in lengths.LENGTHS]
    table = pd.read_csv(tmp_path / lengths.LENGTH_FILE, index_col="length")
    assert table["causal"].to_dict() == ap
    assert table["journeys_within"].is_monotonic_increasing
    assert table.loc[32, "journeys_within"] == 1
