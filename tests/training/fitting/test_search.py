"""The search of training settings, and cross-validation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest

from tests.support.trained import SHORT, TinyWorld, silent
from training.fitting.calibrated import AP, fit_model
from training.fitting.checkpoint import score
from training.fitting.config import load_config
from training.fitting.cross_validation import cross_validate, summary
from training.fitting.search import CONFIG_FILE, SEARCHED, TRIALS_FILE, Budget, tune

TINY = SHORT.model_copy(update={"epochs": 1, "windows_per_epoch": 2_000})


@pytest.fixture(scope="module")
def searched(tiny_world: TinyWorld, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, optuna.Study]:
    folder = tmp_path_factory.mktemp("tune")
    return folder, tune(tiny_world.labelled, folder, TINY, Budget(trials=3), silent)


def test_the_best_settings_are_a_file_for_train(searched: tuple[Path, optuna.Study]) -> None:
    folder, study = searched
    config = load_config(folder / CONFIG_FILE)
    trials = pd.read_csv(folder / TRIALS_FILE)
    assert len(trials) == 3
    row = trials.loc[trials["value"].idxmax()]
    for name in SEARCHED:
        assert getattr(config, name) == pytest.approx(row[f"params_{name}"])
    unsearched = set(type(TINY).model_fields) - set(SEARCHED)
    assert config.model_dump(include=unsearched) == TINY.model_dump(include=unsearched)
    assert study.best_value == trials["value"].max()


def test_the_first_trial_is_what_the_search_has_to_beat(
    searched: tuple[Path, optuna.Study], tiny_world: TinyWorld
) -> None:
    folder, study = searched
    first = pd.read_csv(folder / TRIALS_FILE).iloc[0]
    assert {name: first[f"params_{name}"] for name in SEARCHED} == pytest.approx(TINY.model_dump(include=set(SEARCHED)))
    alone = fit_model(tiny_world.labelled, TINY, silent)
    assert study.trials[0].value == pytest.approx(score(alone.curves[0])), "a trial is a training like any other"


def test_no_trial_starts_after_the_time_is_up(tiny_world: TinyWorld, tmp_path: Path) -> None:
    assert len(tune(tiny_world.labelled, tmp_path, TINY, Budget(trials=50, seconds=0.0), silent).trials) == 1


def test_folds_are_models_of_other_splits(tiny_world: TinyWorld) -> None:
    labelled = tiny_world.labelled
    first = fit_model(labelled, TINY, silent)
    table = cross_validate(labelled, first, TINY, 2, silent)
    assert table.index.tolist() == [1, 2]
    events, truth = labelled.take("test")
    scores = first.judge(events, labelled.reference("train"), labelled.max_length)["causal"]
    assert table.loc[1, "test_causal_ap"] == pytest.approx(first.measure("causal", truth, scores)[AP])
    assert table.loc[1, "test_causal_ap"] != table.loc[2, "test_causal_ap"]
    found = summary(table)["validation_retrospective_ap"]
    values = table["validation_retrospective_ap"].to_numpy()
    assert (found["mean"], found["sd"]) == pytest.approx((values.mean(), np.abs(np.diff(values))[0] / np.sqrt(2)))
