"""Strangers: items of another folder that are learned from, and get into nothing else."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from service.__main__ import app
from service.events.columns import Events
from service.features import table as features
from tests.support.trained import SHORT, TinyWorld, silent
from tests.support.worlds import code, journey, masters, to_events
from training.datasets.dataset import load as load_dataset
from training.datasets.truth import load_truth
from training.errors import DataError
from training.evaluation.detectors import LIGHTGBM, MODEL
from training.evaluation.evaluate import EvaluateOptions, evaluate
from training.samples.labelled_data import Material, Strangers, draw_from, load_strangers
from training.samples.passes import training_pass
from training.samples.splits import SPLITS
from training.simulation.world import simulate
from training.train import TrainOptions, train

EPCS = 500


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of another world; tests only read it."""
    folder = tmp_path_factory.mktemp("other")
    simulate(folder, EPCS, seed=5)
    return folder


@pytest.fixture(scope="module")
def run(tiny_world: TinyWorld, other: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that learned from both worlds; tests only read it."""
    folder = tmp_path_factory.mktemp("run")
    train(tiny_world.folder, tiny_world.truth, folder, SHORT, silent, TrainOptions(more_data=other))
    return folder


def with_strangers(tiny_world: TinyWorld, folder: Path) -> Material:
    strangers, *_ = load_strangers(folder, None, tiny_world.folder, tiny_world.labelled.masters)
    return replace(tiny_world.labelled, strangers=strangers)


def of_lots(first: int, items: int) -> Events:
    """Return whole journeys of items, each the only one of its lot."""
    return to_events(scan for at in range(items) for scan in journey(code(at, lot=first + at)))


def normal(events: Events) -> np.ndarray:
    return np.zeros((len(events), 5), dtype=np.float32)


def drawn(labelled: Material, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the features of both modes of a pass."""
    whole, causal = draw_from(labelled)(np.random.default_rng(seed))
    return whole.features, causal.features


def test_tables_validation_and_test_are_those_without_strangers(tiny_world: TinyWorld, other: Path) -> None:
    alone, both = tiny_world.labelled, with_strangers(tiny_world, other)
    assert both.reference("train").to_json() == alone.reference("train").to_json()
    for part in ("validation", "test"):
        for one, two in zip(
            alone.samples(part, alone.reference("train")), both.samples(part, both.reference("train")), strict=True
        ):
            np.testing.assert_array_equal(one.features, two.features)
            np.testing.assert_array_equal(one.labels, two.labels)


def test_a_pass_has_every_stranger_once_behind_the_own_items(tiny_world: TinyWorld, other: Path) -> None:
    both = with_strangers(tiny_world, other)
    teaching = both.teaching_strangers()
    assert teaching is not None
    own = training_pass(*both.take("train"), both.masters, np.random.default_rng(3), both.max_length)
    for alone, part in zip(own, draw_from(both)(np.random.default_rng(3)), strict=True):
        np.testing.assert_array_equal(part.features[: len(alone.features)], alone.features)
        added = part.labels[len(alone.labels) :]
        assert len(added) == len(teaching.events)
        np.testing.assert_array_equal(added.sum(axis=0), teaching.labels.sum(axis=0))


def test_tables_do_not_know_the_strangers_that_they_judge() -> None:
    home, away = of_lots(20_000, 60), of_lots(30_000, 30)
    split = np.zeros(60, dtype=np.int8)
    labelled = Material(home, normal(home), split, masters(), 32, Strangers(away, normal(away)))
    for seed in range(3):
        for table in drawn(labelled, seed):
            strangers = table[len(home) :]
            assert len(strangers) == len(away)
            assert (strangers[:, features.INDEX["code_lot_log"]] == 0).all(), "each is the only one of its lot"
            assert (strangers[:, features.INDEX["code_company_log"]] > 0).all(), "the tables are those of the others"


def test_items_of_one_code_and_events_of_one_id_stay_apart() -> None:
    home = of_lots(20_000, 60)
    away = replace(of_lots(20_000, 60), time_us=home.time_us + 7_200_000_000)
    labelled = Material(home, normal(home), np.zeros(60, dtype=np.int8), masters(), 32, Strangers(away, normal(away)))
    whole = draw_from(labelled)(np.random.default_rng(0))[0]
    assert len(whole.windows.length) == 120
    assert set(whole.windows.length.tolist()) == {10}, "no journey has events of both"


def test_a_code_of_validation_or_test_is_never_learned_from(tiny_world: TinyWorld) -> None:
    alone = tiny_world.labelled
    again = replace(alone, strangers=Strangers(alone.events, alone.labels)).teaching_strangers()
    assert again is not None
    held_out = np.array(alone.events.epc_codes)[alone.split > SPLITS.index("train")]
    assert not set(again.events.epc_codes) & set(held_out.tolist())
    assert len(again.events.epc_codes) == len(alone.events.epc_codes) - len(held_out)
    assert again.labels.sum() < alone.labels.sum()
    _, labels = alone.take("test")
    only_held_out = Strangers(alone.take("test")[0], labels)
    assert replace(alone, strangers=only_held_out).teaching_strangers() is None


def test_labels_are_the_truth_beside_the_data_or_the_rules(tiny_world: TinyWorld, other: Path, tmp_path: Path) -> None:
    home = tiny_world.labelled.masters
    strangers, _, truth = load_strangers(other, None, tiny_world.folder, home)
    assert truth == other / "truth.parquet"
    np.testing.assert_array_equal(strangers.labels, load_truth(truth, load_dataset(other).events).labels)
    bare = shutil.copytree(other, tmp_path / "bare", ignore=shutil.ignore_patterns("truth.*"))
    by_rules, _, nothing = load_strangers(bare, None, tiny_world.folder, home)
    assert nothing is None
    assert ((by_rules.labels > 0) & (by_rules.labels < 1)).any(), "soft labels"
    named, _, given = load_strangers(bare, other / "truth.parquet", tiny_world.folder, home)
    assert given == other / "truth.parquet"
    np.testing.assert_array_equal(named.labels, strangers.labels)


def test_folders_that_cannot_be_used_are_named(tiny_world: TinyWorld, other: Path, tmp_path: Path) -> None:
    home = tiny_world.labelled.masters
    with pytest.raises(DataError, match="--data itself"):
        load_strangers(tiny_world.folder / ".", None, tiny_world.folder, home)
    with pytest.raises(DataError, match=str(tmp_path / "none")):
        load_strangers(tmp_path / "none", None, tiny_world.folder, home)
    moved = replace(home, latitude=np.where(home.location_id == home.location_id[2], 10.0, home.latitude))
    with pytest.raises(DataError, match=rf"{other}: location {home.location_id[2]} is at .* but at 10\.0"):
        load_strangers(other, None, tiny_world.folder, moved)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    loaded: dict[str, torch.Tensor] = torch.load(folder / "weights.pt", weights_only=True)
    return loaded


def same_weights(one: Path, two: Path) -> bool:
    first, second = weights(one), weights(two)
    return first.keys() == second.keys() and all(torch.equal(value, second[name]) for name, value in first.items())


class Stopped(Exception):
    """As if the process had been killed."""


def stop_after_the_first_epoch(what: str, _done: float) -> None:
    if what.startswith("epoch 1/"):
        raise Stopped


def test_a_stopped_training_goes_on_to_the_same_weights_with_the_same_strangers_only(
    run: Path, tiny_run: Path, tiny_world: TinyWorld, other: Path, tmp_path: Path
) -> None:
    with pytest.raises(Stopped):
        train(
            tiny_world.folder,
            tiny_world.truth,
            tmp_path,
            SHORT,
            stop_after_the_first_epoch,
            TrainOptions(more_data=other),
        )
    with pytest.raises(DataError, match=r"another more data.*--resume"):
        train(tiny_world.folder, tiny_world.truth, tmp_path, SHORT, silent, TrainOptions(resume=True))
    again = TrainOptions(more_data=other, resume=True)
    train(tiny_world.folder, tiny_world.truth, tmp_path, SHORT, silent, again)
    assert same_weights(run, tmp_path)
    assert not same_weights(run, tiny_run), "the strangers have taught something"


def test_the_lineage_names_the_other_folder(run: Path, tiny_run: Path, other: Path) -> None:
    kept = json.loads((run / "run.json").read_text())["lineage"]
    more = kept["more_data"]
    assert (more["data"], more["truth"], more["epcs"]) == (str(other), str(other / "truth.parquet"), EPCS)
    hashes = more["files_sha256"] | more["other_files_sha256"]
    assert set(hashes) == {path.name for path in other.iterdir()}
    for name, digest in hashes.items():
        assert digest == hashlib.sha256((other / name).read_bytes()).hexdigest()
    assert more["events"] == sum(more["rows_by_file"].values())
    alone = json.loads((tiny_run / "run.json").read_text())["lineage"]
    assert alone["more_data"] is None
    assert kept | {"more_data": None} == alone, "all else is as without"


def run_of_a_copy(run: Path, other: Path, folder: Path) -> tuple[Path, Path]:
    """Return a copy of the run that names a copy of the other world, and that."""
    copy = shutil.copytree(other, folder / "copy")
    moved = shutil.copytree(run, folder / "run")
    record = json.loads((moved / "run.json").read_text())
    record["lineage"]["more_data"] |= {"data": str(copy), "truth": str(copy / "truth.parquet")}
    (moved / "run.json").write_text(json.dumps(record))
    return moved, copy


@pytest.mark.parametrize("name", ["icn.csv", "locations.csv", "truth.parquet", None], ids=str)
def test_changed_strangers_are_refused(run: Path, other: Path, tmp_path: Path, name: str | None) -> None:
    moved, copy = run_of_a_copy(run, other, tmp_path)
    if name is None:
        shutil.rmtree(copy)
    elif name == "truth.parquet":
        (copy / name).unlink()
    else:
        (copy / name).write_bytes((copy / name).read_bytes().rstrip().rsplit(b"\n", 1)[0] + b"\n")
    with pytest.raises(DataError, match=str(copy) if name is None else f"{copy}.* not those of the training"):
        evaluate(moved, None, None, EvaluateOptions(resamples=0), silent)
    evaluate(moved, None, None, EvaluateOptions(baselines=False, resamples=0), silent)


def test_strangers_are_no_unseen_data(run: Path, other: Path) -> None:
    with pytest.raises(DataError, match="the training had all its EPCs"):
        evaluate(run, other, None, EvaluateOptions(baselines=False), silent)


def test_the_baselines_learn_from_strangers_too(run: Path, tmp_path: Path) -> None:
    alone = shutil.copytree(run, tmp_path / "run")
    record = json.loads((alone / "run.json").read_text())
    record["lineage"]["more_data"] = None
    (alone / "run.json").write_text(json.dumps(record))
    both = [evaluate(folder, None, None, EvaluateOptions(resamples=0), silent) for folder in (run, alone)]
    for name, same in ((MODEL, True), (LIGHTGBM, False)):
        one, two = (found.judged["causal"].detectors[name].scores for found in both)
        assert np.array_equal(one, two) == same, name


def test_the_command_takes_a_second_folder(tiny_world: TinyWorld, other: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(SHORT.model_copy(update={"epochs": 1, "windows_per_epoch": 1_000}).model_dump_json())
    arguments = ["train", "--data", tiny_world.folder, "--truth", tiny_world.truth, "--config", config]
    arguments += ["--out", tmp_path / "run", "--more-truth", other / "truth.parquet"]
    refused = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert refused.exit_code != 0
    assert "--more-data" in refused.output + str(refused.exception)
    done = CliRunner().invoke(app, [str(argument) for argument in [*arguments, "--more-data", other]])
    assert done.exit_code == 0, done.output
    assert json.loads((tmp_path / "run" / "run.json").read_text())["lineage"]["more_data"]["epcs"] == EPCS
