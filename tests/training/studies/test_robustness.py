"""Robustness: what is disturbed, and which events are compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from service.events import codes
from service.events.vocabulary import MODES
from training.fitting.calibrated import AP, Fitted
from training.samples.labelled_data import Material
from training.samples.splits import SPLITS
from training.studies import robustness

# TINY


def test_flips_are_of_the_share_and_not_of_the_test_part(labelled: Material) -> None:
    flipped = robustness.flip_labels(labelled, 0.05, np.random.default_rng(0))
    for part, share in (("train", 0.05), ("validation", 0.05), ("test", 0.0)):
        rows = labelled.rows(part)
        assert (flipped.labels[rows] != labelled.labels[rows]).mean() == pytest.approx(share, abs=0.006)


def test_each_place_has_one_wrong_clock(labelled: Material) -> None:
    skewed = robustness.skew_clocks(labelled.events, 15, np.random.default_rng(0))
    off = (skewed.time_us - labelled.events.time_us) / 60e6
    assert set(off.tolist()) == {-15.0, 15.0}
    for place in np.unique(labelled.events.location_id):
        assert len(set(off[labelled.events.location_id == place].tolist())) == 1


def test_what_is_unseen_is_in_no_table_and_in_no_lesson(labelled: Material) -> None:
    (place_name, at_place, no_place), (product_name, of_product, _) = robustness.unseen(labelled)
    place, product = int(place_name.split()[1]), int(product_name.split()[1])
    tested = labelled.split == SPLITS.index("test")
    assert at_place[tested].mean() == pytest.approx(robustness.UNSEEN_SHARE, abs=0.03)
    assert of_product[tested].mean() == pytest.approx(robustness.UNSEEN_SHARE, abs=0.04)
    held_out = robustness.without(labelled, at_place, no_place)
    assert place in labelled.reference("train").location_id
    assert place not in held_out.reference("train").location_id
    for part in ("train", "validation"):
        assert place not in held_out.take(part)[0].location_id
        of_part = robustness.without(labelled, of_product, labelled.masters).take(part)[0]
        assert product not in codes.parse(of_part.epc_codes).product
    test = SPLITS.index("test")
    assert np.array_equal(held_out.split == test, labelled.split == test), "the test part stays as it was"
    assert place in held_out.take("test")[0].location_id


def test_robustness_compares_the_same_events(labelled: Material, fitted: Fitted, tmp_path: Path) -> None:
    """Where the disturbed model is the undisturbed one and nothing is disturbed, nothing changes."""
    asked: list[str] = []

    def trained(_material: Material, what: str) -> Fitted:
        asked.append(what)
        return fitted

    [sheet] = robustness.robustness(labelled, trained, tmp_path, seed=1)
    assert len(asked) == robustness.TRAININGS
    table = pd.read_csv(tmp_path / robustness.TABLE_FILE).set_index(["study", "mode"])
    assert len(table) == len(sheet.rows) == 6 * len(MODES)
    events, truth = labelled.take("test")
    scores = fitted.judge(events, labelled.reference("train"), labelled.max_length)["causal"]
    whole = table.loc[("clocks of places off by 5 minutes", "causal")]
    assert whole["events"] == len(events)
    assert whole[f"{AP}_before"] == pytest.approx(fitted.measure("causal", truth, scores)[AP])
    missing = table.loc[("10% of the scans missing", "retrospective")]
    assert missing["events"] == pytest.approx(0.9 * len(events), rel=0.05)
    assert missing[f"{AP}_after"] < missing[f"{AP}_before"]
    assert (tmp_path / robustness.PLOT_FILE).stat().st_size > 10_000
