"""Training from a given network with few labels: what is taken for known, how far it goes, and what the run says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from export.from_onnx import start_of_model
from service.__main__ import app
from service.events.vocabulary import KINDS
from service.features.table import feature_spec_hash
from service.model.repository import load as load_model
from tests.support.trained import SHORT, silent
from training.errors import DataError
from training.finetuning.material import complete
from training.finetuning.plan import plan_for
from training.finetuning.start import StartNetwork
from training.fitting.config import TrainConfig
from training.samples import labelled_data
from training.samples.labelled_data import Material, draw_from
from training.samples.splits import normal_events
from training.simulation.world import simulate

LABELLED = 150
"""Of 1,000 EPCs."""


@pytest.fixture(scope="module")
def start(bundled_repository: Path) -> StartNetwork:
    return start_of_model(load_model(bundled_repository, feature_spec_hash=feature_spec_hash()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world of an unknown network, of which ``few.csv`` labels all kinds but jump of some items."""
    folder = tmp_path_factory.mktemp("network")
    simulate(folder, 1_000, seed=1, network=203)
    truth = pd.read_parquet(folder / "truth.parquet")
    *_, labelled = labelled_data.load(folder, folder / "truth.parquet", SHORT.max_length)
    chosen = np.random.default_rng(0).permutation(len(labelled.split))[:LABELLED]
    few = truth[np.isin(labelled.events.epc, chosen)].astype(dict.fromkeys(KINDS, int))
    few[["event_id", *KINDS[:-1]]].to_csv(folder / "few.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def partly(folder: Path) -> Material:
    return labelled_data.load(folder, folder / "few.csv", SHORT.max_length, partial=True)[2]


def test_what_nobody_labelled_is_unknown_and_then_what_the_network_says(
    partly: Material, folder: Path, start: StartNetwork
) -> None:
    known = np.isfinite(partly.labels)
    assert not known[:, -1].any(), "a kind that the table does not have"
    assert 0.1 < known[:, 0].mean() < 0.2
    filled = complete(partly, start, silent)
    labels, teaching = filled.material.labels, filled.material.teaching
    np.testing.assert_array_equal(labels[known], partly.labels[known])
    truth = labelled_data.load(folder, folder / "truth.parquet", SHORT.max_length)[2].labels >= 0.5
    assert ((labels >= 0.5) == truth)[~known].mean() > 0.98
    assert teaching is not None
    assert not teaching[(partly.labels >= 0.5).any(axis=1)].any(), "what is labelled anomalous teaches no table"
    assert teaching.mean() > 0.85
    whole, _ = draw_from(filled.drawn(0.5))(np.random.default_rng(0))
    oftener = whole.draws > 1
    assert whole.draws[oftener].sum() == pytest.approx((~oftener).sum(), rel=0.1)


def test_of_all_labels_nothing_is_filled_in(folder: Path, start: StartNetwork) -> None:
    *_, labelled = labelled_data.load(folder, folder / "truth.parquet", SHORT.max_length, partial=True)
    complete_already = complete(labelled, start, silent)
    assert complete_already.material is labelled
    assert complete_already.drawn(0.5) is labelled
    np.testing.assert_array_equal(labelled.normal("train"), normal_events(labelled.take("train")[1]))


def test_too_few_labels_are_refused_with_the_way_without(partly: Material, start: StartNetwork) -> None:
    none = Material(partly.events, np.full_like(partly.labels, np.nan), partly.split, partly.masters, 32)
    with pytest.raises(DataError, match=r"0 events have a label.*epc-sentinel adopt"):
        complete(none, start, silent)


def test_few_labels_are_held_near_the_start_and_many_are_not() -> None:
    few, many, all_of_few = plan_for(500, 50_000), plan_for(60_000, 500_000), plan_for(5_000, 5_000)
    assert few.config(TrainConfig()).anchor > 0
    assert many.config(TrainConfig()).anchor == all_of_few.config(TrainConfig()).anchor == 0
    assert many.config(TrainConfig(anchor=0.003)).anchor == 0.003, "unless that is asked for"
    assert few.config(TrainConfig(epochs=1)).epochs == 1, "no longer than was asked for"
    assert few.config(TrainConfig()).epochs < TrainConfig().epochs


def test_the_command_tunes_and_the_run_says_from_what(folder: Path, bundled_repository: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(SHORT.model_copy(update={"epochs": 1, "windows_per_epoch": 1_000}).model_dump_json())
    arguments = ["train", "--data", folder, "--from", bundled_repository, "--config", config, "--out", tmp_path / "run"]
    refused = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert "--truth" in str(refused.exception)
    assert "adopt" in str(refused.exception)
    done = CliRunner().invoke(app, [str(argument) for argument in [*arguments, "--truth", folder / "few.csv"]])
    assert done.exit_code == 0, done.output
    kept = json.loads((tmp_path / "run" / "run.json").read_text())
    assert kept["tuning"]["start"] == load_model(bundled_repository, feature_spec_hash=feature_spec_hash()).title
    assert 0 < kept["tuning"]["labelled_events"] < 1_500
    assert "labelled events to learn from" in done.output
    assert kept["config"]["anchor"] > 0
    assert kept["metrics"]["events"] < 300, "only what is labelled is measured"
    tuned_again = ["train", "--data", folder, "--truth", folder / "truth.parquet", "--from", tmp_path / "run"]
    again = CliRunner().invoke(app, [str(a) for a in [*tuned_again, "--config", config, "--out", tmp_path / "more"]])
    assert again.exit_code == 0, again.output
    more = json.loads((tmp_path / "more" / "run.json").read_text())
    assert more["tuning"]["start"] == str(tmp_path / "run")
    assert more["config"]["anchor"] == 0
