"""Studies: what they disturb, what they compare, and what they leave behind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from service.events import codes
from service.events.journeys import Journeys
from service.events.vocabulary import KINDS, MODES
from service.features import table as features
from tests.support.trained import SHORT, TinyWorld, silent
from tests.support.worlds import code, journey, masters, to_events
from training.fitting.calibrated import AP, Fitted, fit_model
from training.fitting.config import load_config
from training.network.predict import predict
from training.samples.labelled_data import Material
from training.samples.splits import SPLITS
from training.studies import lengths, redundancy, robustness
from training.studies.menu import STUDIES, study

TINY = SHORT.model_copy(update={"epochs": 1, "windows_per_epoch": 2_000})


@pytest.fixture(scope="module")
def labelled(tiny_world: TinyWorld) -> Material:
    return tiny_world.labelled


@pytest.fixture(scope="module")
def fitted(labelled: Material) -> Fitted:
    return fit_model(labelled, SHORT, silent)


# ---------------------------------------------------------------- robustness


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


# ---------------------------------------------------------------- lengths


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


# ---------------------------------------------------------------- redundancy


def test_variance_inflation_is_one_over_one_minus_r_squared() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4_000, 4)).astype(np.float32)
    x[:, 2] = x[:, 0] + x[:, 1] + x[:, 2]
    x[:, 3] = 5
    factors = redundancy.variance_inflation(redundancy.correlation_matrix(x))
    others = np.column_stack([x[:, :2], np.ones(len(x))])
    residual = x[:, 2] - others @ np.linalg.lstsq(others, x[:, 2], rcond=None)[0]
    assert factors[2] == pytest.approx(x[:, 2].var() / residual.var(), rel=0.01)
    assert factors[3] == pytest.approx(1, rel=0.01)
    twins = redundancy.correlation_matrix(np.column_stack([x[:, 0], -3 * x[:, 0], x[:, 1]]))
    assert redundancy.variance_inflation(twins)[0] > 1e5
    cluster = redundancy.clusters(twins)
    assert cluster[0] == cluster[1] != cluster[2]


def test_importance_is_what_shuffling_costs(fitted: Fitted) -> None:
    part = redundancy.first_windows(fitted.check[0], 10_000)
    np.testing.assert_array_equal(predict(fitted.model, part), predict(fitted.model, fitted.check[0]))
    worth = redundancy.importance(fitted, part, np.random.default_rng(0), silent)
    assert worth[features.INDEX["causal"]] == 0
    assert worth.max() > 0.02
    blind = replace(fitted, model=_blind_to(fitted, int(worth.argmax())))
    assert redundancy.importance(blind, part, np.random.default_rng(0), silent)[worth.argmax()] == pytest.approx(
        0, abs=1e-6
    )


def _blind_to(fitted: Fitted, column: int):  # noqa: ANN202 - the model of the fitted one
    from copy import deepcopy  # noqa: PLC0415

    model = deepcopy(fitted.model)
    model.model.encoding.scale[column] = 0.0
    return model


def test_a_sample_of_windows_is_answered_as_in_the_whole(fitted: Fitted) -> None:
    whole, some = fitted.check[1], redundancy.first_windows(fitted.check[1], 300)
    kept = whole.windows.window_of < 300
    np.testing.assert_allclose(predict(fitted.model, some), predict(fitted.model, whole)[kept], atol=1e-6)
    np.testing.assert_array_equal(some.labels, whole.labels[kept])


# ---------------------------------------------------------------- all


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("robustness", ["robustness.csv", "robustness.png"]),
        ("lengths", ["autocorrelation.csv", "config.json", "lengths.csv", "lengths.png"]),
        ("redundancy", ["correlation.png", "importance.png", "redundancy.csv", "tsne.png"]),
        ("coldstart", ["coldstart.csv", "coldstart.png"]),
    ],
)
def test_a_study_leaves_tables_and_plots(name: str, files: list[str], labelled: Material, tmp_path: Path) -> None:
    told: list[float] = []
    sheets = study(name, labelled, TINY, tmp_path, lambda _what, done: told.append(done))
    assert sorted(path.name for path in tmp_path.iterdir()) == files
    assert all(sheet.rows for sheet in sheets)
    assert told == sorted(told)
    assert told[-1] <= 1
    if "config.json" in files:
        assert load_config(tmp_path / "config.json").max_length in lengths.LENGTHS


def test_the_command_offers_every_study() -> None:
    from service.commands.studies import StudyChoice  # noqa: PLC0415

    assert {choice.value for choice in StudyChoice} == {*STUDIES, "frontier"}
