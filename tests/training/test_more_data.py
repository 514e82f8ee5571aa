"""train --more-data: a run that learned from strangers too, what it says of them, and how it is evaluated."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from service.__main__ import app
from tests.support.trained import OTHER_EPCS, SHORT, Stopped, TinyWorld, silent, stop_after_the_first_epoch, weights
from training.errors import DataError
from training.evaluation.detectors import LIGHTGBM, MODEL
from training.evaluation.evaluate import EvaluateOptions, evaluate
from training.train import TrainOptions, train


@pytest.fixture(scope="module")
def run(tiny_world: TinyWorld, other_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that learned from both worlds; tests only read it."""
    folder = tmp_path_factory.mktemp("run")
    train(tiny_world.folder, tiny_world.truth, folder, SHORT, silent, TrainOptions(more_data=(other_world,)))
    return folder


def same_weights(one: Path, two: Path) -> bool:
    first, second = weights(one), weights(two)
    return first.keys() == second.keys() and all(torch.equal(value, second[name]) for name, value in first.items())


def test_a_stopped_training_goes_on_to_the_same_weights_with_the_same_strangers_only(
    run: Path, tiny_run: Path, tiny_world: TinyWorld, other_world: Path, tmp_path: Path
) -> None:
    with pytest.raises(Stopped):
        train(
            tiny_world.folder,
            tiny_world.truth,
            tmp_path,
            SHORT,
            stop_after_the_first_epoch,
            TrainOptions(more_data=(other_world,)),
        )
    with pytest.raises(DataError, match=r"another more data.*--resume"):
        train(tiny_world.folder, tiny_world.truth, tmp_path, SHORT, silent, TrainOptions(resume=True))
    again = TrainOptions(more_data=(other_world,), resume=True)
    train(tiny_world.folder, tiny_world.truth, tmp_path, SHORT, silent, again)
    assert same_weights(run, tmp_path)
    assert not same_weights(run, tiny_run), "the strangers have taught something"


def test_the_lineage_names_the_other_folder(run: Path, tiny_run: Path, other_world: Path) -> None:
    kept = json.loads((run / "run.json").read_text())["lineage"]
    (more,) = kept["more_data"]
    assert (more["data"], more["truth"], more["epcs"]) == (
        str(other_world),
        str(other_world / "truth.parquet"),
        OTHER_EPCS,
    )
    hashes = more["files_sha256"] | more["other_files_sha256"]
    assert set(hashes) == {path.name for path in other_world.iterdir()}
    for name, digest in hashes.items():
        assert digest == hashlib.sha256((other_world / name).read_bytes()).hexdigest()
    assert more["events"] == sum(more["rows_by_file"].values())
    alone = json.loads((tiny_run / "run.json").read_text())["lineage"]
    assert alone["more_data"] == []
    assert kept | {"more_data": []} == alone, "all else is as without"


def run_of_a_copy(run: Path, other_world: Path, folder: Path) -> tuple[Path, Path]:
    """Return a copy of the run that names a copy of the other world, and that."""
    copy = shutil.copytree(other_world, folder / "copy")
    moved = shutil.copytree(run, folder / "run")
    record = json.loads((moved / "run.json").read_text())
    record["lineage"]["more_data"][0] |= {"data": str(copy), "truth": str(copy / "truth.parquet")}
    (moved / "run.json").write_text(json.dumps(record))
    return moved, copy


@pytest.mark.parametrize("name", ["icn.csv", "locations.csv", "truth.parquet", None], ids=str)
def test_changed_strangers_are_refused(run: Path, other_world: Path, tmp_path: Path, name: str | None) -> None:
    moved, copy = run_of_a_copy(run, other_world, tmp_path)
    if name is None:
        shutil.rmtree(copy)
    elif name == "truth.parquet":
        (copy / name).unlink()
    else:
        (copy / name).write_bytes((copy / name).read_bytes().rstrip().rsplit(b"\n", 1)[0] + b"\n")
    with pytest.raises(DataError, match=str(copy) if name is None else f"{copy}.* not those of the training"):
        evaluate(moved, None, None, EvaluateOptions(resamples=0), silent)
    evaluate(moved, None, None, EvaluateOptions(baselines=False, resamples=0), silent)


def test_strangers_are_no_unseen_data(run: Path, other_world: Path) -> None:
    with pytest.raises(DataError, match="the training had all its EPCs"):
        evaluate(run, other_world, None, EvaluateOptions(baselines=False), silent)


def test_the_baselines_learn_from_strangers_too(run: Path, tmp_path: Path) -> None:
    alone = shutil.copytree(run, tmp_path / "run")
    record = json.loads((alone / "run.json").read_text())
    record["lineage"]["more_data"] = []
    (alone / "run.json").write_text(json.dumps(record))
    both = [evaluate(folder, None, None, EvaluateOptions(resamples=0), silent) for folder in (run, alone)]
    for name, same in ((MODEL, True), (LIGHTGBM, False)):
        one, two = (found.judged["causal"].detectors[name].scores for found in both)
        assert np.array_equal(one, two) == same, name


def test_the_command_takes_a_second_folder(tiny_world: TinyWorld, other_world: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(SHORT.model_copy(update={"epochs": 1, "windows_per_epoch": 1_000}).model_dump_json())
    arguments = ["train", "--data", tiny_world.folder, "--truth", tiny_world.truth, "--config", config]
    arguments += ["--out", tmp_path / "run", "--more-truth", other_world / "truth.parquet"]
    refused = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert refused.exit_code != 0
    assert "--more-data" in refused.output + str(refused.exception)
    done = CliRunner().invoke(app, [str(argument) for argument in [*arguments, "--more-data", other_world]])
    assert done.exit_code == 0, done.output
    assert json.loads((tmp_path / "run" / "run.json").read_text())["lineage"]["more_data"][0]["epcs"] == OTHER_EPCS
    twice = CliRunner().invoke(app, [*map(str, arguments), *("--more-data", str(other_world)) * 2])
    assert twice.exit_code != 0
    assert "of one --more-data" in twice.output + str(twice.exception)
