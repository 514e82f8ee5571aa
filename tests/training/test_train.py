"""Training: what a run folder holds, the same weights again, going on after a stop, labels without truth."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from export.run import export_run
from service.errors import ModelRepositoryError
from service.events.vocabulary import KINDS, MODES
from service.model.repository import read_manifest, versions
from tests.support.gateway import ROOT
from tests.support.trained import SHORT, Stopped, TinyWorld, silent, stop_after_the_first_epoch, weights
from training.errors import DataError
from training.fitting.calibrated import fit_model
from training.fitting.config import TrainConfig
from training.metrics.per_kind import expected_calibration_error, per_kind
from training.network.predict import predict
from training.runs.folder import Run
from training.samples.labelled_data import MIN_EPCS, Material, load
from training.samples.labels import weak_labels
from training.train import CHECKPOINT, TrainOptions, train


def assert_equal_weights(one: Path, other: Path) -> None:
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def test_a_run_folder_tells_what_it_was_made_of(tiny_run: Path, tiny_world: TinyWorld) -> None:
    record = json.loads((tiny_run / "run.json").read_text())
    assert record["config"] == SHORT.model_dump()
    lineage = record["lineage"]
    hashes = lineage["files_sha256"] | lineage["other_files_sha256"]
    assert set(hashes) == {path.name for path in tiny_world.folder.iterdir()}
    for name, digest in hashes.items():
        assert digest == hashlib.sha256((tiny_world.folder / name).read_bytes()).hexdigest()
    for name, rows in lineage["rows_by_file"].items():
        assert rows == len((tiny_world.folder / name).read_bytes().splitlines()) - 1
    parts = lineage["events_by_split"]
    assert parts["train"] > 4 * parts["validation"] > 0
    assert 0.9 * lineage["events"] < sum(parts.values()) < lineage["events"]


def test_labels_without_a_normal_event_are_an_error_before_the_fit(tiny_world: TinyWorld, tmp_path: Path) -> None:
    truth = pd.read_parquet(tiny_world.folder / "truth.parquet").assign(**dict.fromkeys(KINDS, 1))
    truth.to_parquet(tmp_path / "truth.parquet")
    with pytest.raises(DataError, match="not one event of the train part is labelled as normal"):
        train(tiny_world.folder, tmp_path / "truth.parquet", tmp_path / "run", SHORT, silent)
    assert not (tmp_path / "run" / CHECKPOINT).exists()


_LIMITED = (
    "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)); sys.argv[0] = 'x';"
)


def limited(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command that can write no file of more than 20 kB, as on a full disk."""
    command = [sys.executable, "-c", f"{_LIMITED} runpy.run_module('service', run_name='__main__')"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}  # its data are larger
    return subprocess.run(
        [*command, *map(str, arguments)], cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False
    )


def contents_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_export_without_room_is_one_line_and_leaves_the_repository(tiny_run: Path, tmp_path: Path) -> None:
    done = limited("export", tiny_run, "--out", tmp_path / "repository")
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert "no room to write it" in line
    assert not (tmp_path / "repository").exists()


def test_a_training_without_room_is_one_line_and_leaves_nothing_half_written(
    tiny_world: TinyWorld, tmp_path: Path
) -> None:
    truth = tiny_world.folder / "truth.parquet"
    done = limited("train", "--data", tiny_world.folder, "--truth", truth, "--out", tmp_path / "run",
                   "--epochs", 1, "--hidden", 8)  # fmt: skip
    assert done.returncode == 1
    assert "no room to write it" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert [path.name for path in (tmp_path / "run").iterdir()] == []


def test_an_export_that_fails_late_leaves_the_repository(tiny_run: Path, exported: Path, tmp_path: Path) -> None:
    repository = shutil.copytree(exported, tmp_path / "repository")
    (repository / "epc_lstm" / "config.pbtxt").unlink()
    (repository / "epc_lstm" / "config.pbtxt").mkdir()  # the last thing that is written
    before = contents_of(repository)
    for options in ({}, {"version": 1, "replace": True}):
        with pytest.raises(OSError, match="config"):
            export_run(tiny_run, repository, **options)
        assert contents_of(repository) == before
        assert versions(repository, "epc_svm") == versions(repository) == [1]


def test_the_advised_version_is_free_for_every_model(tiny_run: Path, exported: Path, tmp_path: Path) -> None:
    (tmp_path / "epc_svm" / "4").mkdir(parents=True)
    with pytest.raises(ModelRepositoryError, match=r"version 4 exists .* the next one, 5, is free"):
        export_run(tiny_run, tmp_path, 4)
    repository = shutil.copytree(exported, tmp_path / "repository")
    shutil.rmtree(repository / "epc_lstm" / "1")
    with pytest.raises(ModelRepositoryError, match=r"version 1 exists .* the next one, 2, is free"):
        export_run(tiny_run, repository, 1)
    assert export_run(tiny_run, repository) == repository / "epc_lstm" / "2"


def test_a_run_is_written_whole_or_not_at_all(tiny_run: Path, tmp_path: Path) -> None:
    run = Run.load(tiny_run)
    (tmp_path / "weights.pt").mkdir()
    with pytest.raises(OSError, match=r"weights\.pt"):
        run.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["weights.pt"]


def test_a_run_folder_has_metrics_and_curves(tiny_run: Path) -> None:
    assert 0 < json.loads((tiny_run / "run.json").read_text())["metrics"]["causal"]["model"]["macro"]["ap"] < 1
    rows = list(csv.DictReader((tiny_run / "curves.csv").open()))
    assert [int(row["epoch"]) for row in rows] == [1, 2]
    assert float(rows[1]["loss"]) < float(rows[0]["loss"])
    assert (tiny_run / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert not (tiny_run / CHECKPOINT).exists()


def test_it_learns_and_its_scores_are_probabilities(tiny_run: Path, tiny_world: TinyWorld) -> None:
    labelled, run = tiny_world.labelled, Run.load(tiny_run)
    for part in labelled.samples("test", labelled.reference("train")):
        scores = predict(run.model, part)
        share = float((part.labels >= 0.5).mean())
        assert per_kind(part.labels, scores)["macro"]["ap"] > 0.3 > 10 * share
        for column in range(len(KINDS)):
            assert expected_calibration_error(part.labels[:, column] >= 0.5, scores[:, column]) < 0.02


def test_thresholds_keep_the_budget_on_validation(tiny_world: TinyWorld) -> None:
    for budget in (0.01, 0.1):
        fitted = fit_model(
            tiny_world.labelled, SHORT.model_copy(update={"epochs": 1, "false_positive_budget": budget}), silent
        )
        for part, thresholds in zip(fitted.check, (fitted.thresholds.of(mode) for mode in MODES), strict=True):
            flagged = predict(fitted.model, part) >= np.float32(thresholds)
            for column in range(len(KINDS)):
                at_floor = thresholds[column] == pytest.approx(0.05)
                share = flagged[part.labels[:, column] < 0.5, column].mean()
                assert share == pytest.approx(budget, abs=0.002) or (at_floor and share < budget)


def test_the_svms_of_a_run_find_anomalies_within_the_budget(tiny_run: Path, tiny_world: TinyWorld) -> None:
    labelled, run = tiny_world.labelled, Run.load(tiny_run)
    assert run.svm is not None
    assert run.record.svm_thresholds is not None
    reference = labelled.reference("train")
    for mode, part in zip(MODES, labelled.samples("validation", reference), strict=True):
        flagged = predict(run.svm, part) >= np.float32(run.record.svm_thresholds.of(mode))
        for column in range(len(KINDS)):
            assert flagged[part.labels[:, column] < 0.5, column].mean() < SHORT.false_positive_budget + 0.002
    for part in labelled.samples("test", reference):
        share = float((part.labels >= 0.5).mean())
        assert per_kind(part.labels, predict(run.svm, part))["macro"]["ap"] > 10 * share


def test_a_run_of_an_earlier_release_has_no_svms_to_export(tiny_run: Path, exported: Path, tmp_path: Path) -> None:
    earlier, repository = shutil.copytree(tiny_run, tmp_path / "run"), tmp_path / "repository"
    (earlier / "svm.pt").unlink()
    assert export_run(earlier, repository) == repository / "epc_lstm" / "1"
    for folder, models in ((exported, {"epc_lstm", "epc_svm"}), (repository, {"epc_lstm"})):
        assert {path.name for path in folder.iterdir()} == models


def test_thresholds_of_costs_are_in_the_record(tiny_world: TinyWorld) -> None:
    costs = {"miss_cost": dict.fromkeys(KINDS, 9.0) | {"jump": 1.0}, "false_alarm_cost": 1.0}
    fitted = fit_model(tiny_world.labelled, TrainConfig(**(SHORT.model_dump() | {"epochs": 1} | costs)), silent)
    assert fitted.thresholds.model_dump() == {mode: [0.1, 0.1, 0.1, 0.1, 0.5] for mode in MODES}


def test_the_same_seed_gives_the_same_weights(tiny_run: Path, tiny_world: TinyWorld, tmp_path: Path) -> None:
    train(tiny_world.folder, tiny_world.truth, tmp_path / "again", SHORT, silent)
    assert_equal_weights(tiny_run, tmp_path / "again")
    train(tiny_world.folder, tiny_world.truth, tmp_path / "other", SHORT.model_copy(update={"seed": 8}), silent)
    with pytest.raises(AssertionError):
        assert_equal_weights(tiny_run, tmp_path / "other")


@pytest.fixture(scope="module")
def first_epoch(tiny_world: TinyWorld, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder of a training that was stopped after its first epoch; tests only read it."""
    folder = tmp_path_factory.mktemp("first_epoch")
    with pytest.raises(Stopped):
        train(tiny_world.folder, tiny_world.truth, folder, SHORT, stop_after_the_first_epoch)
    return folder


@pytest.fixture
def stopped(first_epoch: Path, tmp_path: Path) -> Path:
    """The stopped run folder, for a test to go on with."""
    return shutil.copytree(first_epoch, tmp_path / "stopped")


def test_a_stopped_training_goes_on_as_if_it_had_not_been(stopped: Path, tiny_run: Path, tiny_world: TinyWorld) -> None:
    told: list[str] = []
    train(
        tiny_world.folder,
        tiny_world.truth,
        stopped,
        SHORT,
        lambda what, _done: told.append(what),
        TrainOptions(resume=True),
    )
    assert [what.partition(":")[0] for what in told if "epoch" in what] == ["epoch 2/2"]
    assert_equal_weights(stopped, tiny_run)
    assert (stopped / "curves.csv").read_bytes() == (tiny_run / "curves.csv").read_bytes()


def test_a_training_goes_on_with_the_same_config_and_data_only(
    stopped: Path, tiny_world: TinyWorld, tmp_path: Path
) -> None:
    other = SHORT.model_copy(update={"hidden": 9})
    with pytest.raises(DataError, match=r"another config.*--resume"):
        train(tiny_world.folder, tiny_world.truth, stopped, other, silent, TrainOptions(resume=True))
    world = shutil.copytree(tiny_world.folder, tmp_path / "world")
    with (world / "kum.csv").open("a") as file:
        file.write((world / "kum.csv").read_text().splitlines()[1] + "\n")
    with pytest.raises(DataError, match=r"no truth|another data"):
        train(world, world / "truth.parquet", stopped, SHORT, silent, TrainOptions(resume=True))


def test_without_resume_it_starts_anew(stopped: Path, tiny_world: TinyWorld) -> None:
    told: list[str] = []

    def stop_again(what: str, done: float) -> None:
        told.append(what)
        stop_after_the_first_epoch(what, done)

    with pytest.raises(Stopped):
        train(tiny_world.folder, tiny_world.truth, stopped, SHORT, stop_again)
    assert told[-1].startswith("epoch 1/2")


@pytest.mark.parametrize("change", [{"architecture": "lstm"}, {"layers": 2, "hidden": 5}], ids=str)
def test_what_train_accepts_can_be_exported(change: dict[str, object], tiny_world: TinyWorld, tmp_path: Path) -> None:
    config = TrainConfig(**(SHORT.model_dump() | {"epochs": 1} | change))
    train(tiny_world.folder, tiny_world.truth, tmp_path / "run", config, silent)
    (tmp_path / "run" / "svm.pt").unlink()  # they are of no architecture, and take longer than the network
    version = export_run(tmp_path / "run", tmp_path / "repository")
    manifest = read_manifest(version / "manifest.json", "the export")
    assert manifest.lineage["config"] == config.model_dump()
    assert manifest.lineage["parity_max_abs_difference"] <= 1e-5


def test_rules_label_softly_where_there_is_no_truth(tiny_world: TinyWorld, tmp_path: Path) -> None:
    labels = weak_labels(tiny_world.dataset).labels
    assert ((labels > 0) & (labels < 0.5)).any()
    assert ((labels >= 0.5) & (labels < 1)).any()
    run = train(tiny_world.folder, None, tmp_path, SHORT, silent)
    assert run.record.lineage.labels.startswith("rules")
    assert run.record.lineage.truth is None
    by_truth = tiny_world.labelled.samples("test", tiny_world.labelled.reference("train"))[0]
    assert per_kind(by_truth.labels, predict(run.model, by_truth))["macro"]["roc_auc"] > 0.7, "the rules are no guess"


def without_anomalies(labelled: Material, part: str) -> Material:
    labels = labelled.labels.copy()
    labels[labelled.rows(part)] = 0
    return replace(labelled, labels=labels)


@pytest.mark.parametrize("part", ["train", "validation"])
def test_nothing_to_learn_is_an_error(tiny_world: TinyWorld, part: str) -> None:
    with pytest.raises(DataError, match=f"no event of the {part} part .* anomalous"):
        fit_model(without_anomalies(tiny_world.labelled, part), SHORT, silent)


def test_a_kind_that_does_not_occur_is_no_error(tiny_world: TinyWorld) -> None:
    labels = tiny_world.labelled.labels.copy()
    labels[:, KINDS.index("jump")] = 0
    labelled = replace(tiny_world.labelled, labels=labels)
    fitted = fit_model(labelled, SHORT.model_copy(update={"epochs": 1}), silent)
    assert np.isfinite([epoch["retrospective"] for epoch in fitted.curves]).all()
    assert np.isfinite(predict(fitted.model, fitted.check[0])).all()


def test_a_few_items_are_too_few(tmp_path: Path, tiny_world: TinyWorld) -> None:
    for name in ("locations.csv", "transitions.csv"):
        shutil.copy(tiny_world.folder / name, tmp_path)
    rows = (tiny_world.folder / "kum.csv").read_text().splitlines()[:100]
    (tmp_path / "kum.csv").write_text("\n".join(rows) + "\n")
    with pytest.raises(DataError, match=f"training needs {MIN_EPCS} at least"):
        load(tmp_path, None, SHORT.max_length)
