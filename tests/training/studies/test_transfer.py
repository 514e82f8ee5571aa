"""A network that the model never saw: every step judges the same items, from no label to all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from service.__main__ import app
from service.commands.training import network_of
from service.events.vocabulary import KINDS
from tests.support.trained import SHORT
from training.datasets.truth import Truth
from training.evaluation.data_under_test import Subject
from training.finetuning.start import StartNetwork
from training.metrics.per_kind import per_kind
from training.metrics.ranking import MACRO
from training.samples import labelled_data
from training.samples.labelled_data import Material
from training.simulation.world import simulate
from training.studies.transfer import _with_labels


def test_labels_make_the_model_better_at_a_network_that_it_never_saw(bundled_repository: Path, tmp_path: Path) -> None:
    data, out, config = tmp_path / "data", tmp_path / "out", tmp_path / "config.json"
    simulate(data, 800, seed=1, network=203)
    config.write_text(SHORT.model_copy(update={"epochs": 1, "windows_per_epoch": 2_000}).model_dump_json())
    arguments = ["study", "transfer", "--data", data, "--truth", data / "truth.parquet", "--config", config]
    done = CliRunner().invoke(app, [str(a) for a in [*arguments, "--from", bundled_repository, "--out", out]])
    assert done.exit_code == 0, done.output
    table = pd.read_csv(out / "transfer.csv")
    steps = ["as it is", "adopted", "500 labels", "2,000 labels", "all labels"]  # 20,000 are more than there are
    assert table.step.unique().tolist() == steps
    macro = table[table.kind == "macro"].pivot_table(index="step", columns="mode", values="ap")
    assert (macro.loc[steps[2:]] > macro.loc["as it is"] + 0.05).all(axis=None)
    assert set(table.kind) == {*KINDS, "macro"}
    assert "an unseen network" in done.output
    *_, labelled = labelled_data.load(data, data / "truth.parquet", SHORT.max_length)
    assert macro.loc["as it is", "retrospective"] == pytest.approx(as_served(labelled, network_of(bundled_repository)))


def as_served(labelled: Material, start: StartNetwork) -> float:
    """Return the retrospective macro AP of a network that spares codes which it does not know."""
    events, labels = labelled.take("test")
    subject = Subject(events, Truth(labels), start.reference)
    part = subject.samples(causal=False, limit=labelled.max_length)
    return per_kind(part.labels, start.weights.score(part))[MACRO]["ap"]


def test_labels_are_of_whole_items_and_in_proportion(tmp_path: Path) -> None:
    simulate(tmp_path, 800, seed=1, network=203)
    *_, labelled = labelled_data.load(tmp_path, tmp_path / "truth.parquet", SHORT.max_length)
    partly = _with_labels(labelled, 500, seed=1)
    known = np.isfinite(partly.labels).all(axis=1)
    assert 500 <= known[labelled.rows("train")].sum() < 520
    share = known[labelled.rows("train")].mean()
    assert known[labelled.rows("validation")].mean() == pytest.approx(share, rel=0.2)
    of_item = pd.Series(known).groupby(labelled.events.epc).nunique()
    assert (of_item == 1).all()
    np.testing.assert_array_equal(partly.labels[known], labelled.labels[known])
