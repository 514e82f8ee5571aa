"""Strangers: items of another folder that are learned from, and get into nothing else."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from service.events.columns import Events
from service.events.zones import TimeZones
from service.features import table as features
from tests.support.trained import TinyWorld
from tests.support.worlds import code, journey, masters, to_events
from training.datasets.dataset import load as load_dataset
from training.datasets.truth import load_truth
from training.errors import DataError
from training.samples.labelled_data import Material, Strangers, draw_from, load_strangers
from training.samples.passes import training_pass
from training.samples.splits import SPLITS


def with_strangers(tiny_world: TinyWorld, folder: Path) -> Material:
    strangers, *_ = load_strangers(folder, None, tiny_world.folder, tiny_world.labelled.masters)
    return replace(tiny_world.labelled, strangers=(strangers,))


def of_lots(first: int, items: int) -> Events:
    """Return whole journeys of items, each the only one of its lot."""
    return to_events(scan for at in range(items) for scan in journey(code(at, lot=first + at)))


def normal(events: Events) -> np.ndarray:
    return np.zeros((len(events), 5), dtype=np.float32)


def drawn(labelled: Material, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the features of both modes of a pass."""
    whole, causal = draw_from(labelled)(np.random.default_rng(seed))
    return whole.features, causal.features


def test_tables_validation_and_test_are_those_without_strangers(tiny_world: TinyWorld, other_world: Path) -> None:
    alone, both = tiny_world.labelled, with_strangers(tiny_world, other_world)
    assert both.reference("train").to_json() == alone.reference("train").to_json()
    for part in ("validation", "test"):
        for one, two in zip(
            alone.samples(part, alone.reference("train")), both.samples(part, both.reference("train")), strict=True
        ):
            np.testing.assert_array_equal(one.features, two.features)
            np.testing.assert_array_equal(one.labels, two.labels)


def test_a_pass_has_every_stranger_once_behind_the_own_items(tiny_world: TinyWorld, other_world: Path) -> None:
    both = with_strangers(tiny_world, other_world)
    (teaching,) = both.teaching_strangers()
    own = training_pass(*both.take("train"), both.masters, np.random.default_rng(3), both.max_length)
    for alone, part in zip(own, draw_from(both)(np.random.default_rng(3)), strict=True):
        np.testing.assert_array_equal(part.features[: len(alone.features)], alone.features)
        added = part.labels[len(alone.labels) :]
        assert len(added) == len(teaching.events)
        np.testing.assert_array_equal(added.sum(axis=0), teaching.labels.sum(axis=0))


def test_tables_do_not_know_the_strangers_that_they_judge() -> None:
    home, away = of_lots(20_000, 60), of_lots(30_000, 30)
    split = np.zeros(60, dtype=np.int8)
    labelled = Material(home, normal(home), split, masters(), 32, (Strangers(away, normal(away)),))
    for seed in range(3):
        for table in drawn(labelled, seed):
            strangers = table[len(home) :]
            assert len(strangers) == len(away)
            assert (strangers[:, features.INDEX["code_lot_log"]] == 0).all(), "each is the only one of its lot"
            assert (strangers[:, features.INDEX["code_company_log"]] > 0).all(), "the tables are those of the others"


def test_a_pass_has_the_items_of_one_of_the_folders_and_each_gets_its_turn() -> None:
    home, folders = of_lots(20_000, 60), [of_lots(30_000, 30), of_lots(40_000, 20), of_lots(50_000, 10)]
    strangers = tuple(Strangers(away, normal(away)) for away in folders)
    labelled = Material(home, normal(home), np.zeros(60, dtype=np.int8), masters(), 32, strangers)
    added = {len(drawn(labelled, seed)[0]) - len(home) for seed in range(20)}
    assert added == {len(away) for away in folders}


def test_items_of_one_code_and_events_of_one_id_stay_apart() -> None:
    home = of_lots(20_000, 60)
    away = replace(of_lots(20_000, 60), time_us=home.time_us + 7_200_000_000)
    labelled = Material(
        home, normal(home), np.zeros(60, dtype=np.int8), masters(), 32, (Strangers(away, normal(away)),)
    )
    whole = draw_from(labelled)(np.random.default_rng(0))[0]
    assert len(whole.windows.length) == 120
    assert set(whole.windows.length.tolist()) == {10}, "no journey has events of both"


def test_a_code_of_validation_or_test_is_never_learned_from(tiny_world: TinyWorld) -> None:
    alone = tiny_world.labelled
    (again,) = replace(alone, strangers=(Strangers(alone.events, alone.labels),)).teaching_strangers()
    held_out = np.array(alone.events.epc_codes)[alone.split > SPLITS.index("train")]
    assert not set(again.events.epc_codes) & set(held_out.tolist())
    assert len(again.events.epc_codes) == len(alone.events.epc_codes) - len(held_out)
    assert again.labels.sum() < alone.labels.sum()
    _, labels = alone.take("test")
    only_held_out = Strangers(alone.take("test")[0], labels)
    assert replace(alone, strangers=(only_held_out,)).teaching_strangers() == []


def test_labels_are_the_truth_beside_the_data_or_the_rules(
    tiny_world: TinyWorld, other_world: Path, tmp_path: Path
) -> None:
    home = tiny_world.labelled.masters
    strangers, _, truth = load_strangers(other_world, None, tiny_world.folder, home)
    assert truth == other_world / "truth.parquet"
    np.testing.assert_array_equal(strangers.labels, load_truth(truth, load_dataset(other_world).events).labels)
    bare = shutil.copytree(other_world, tmp_path / "bare", ignore=shutil.ignore_patterns("truth.*"))
    by_rules, _, nothing = load_strangers(bare, None, tiny_world.folder, home)
    assert nothing is None
    assert ((by_rules.labels > 0) & (by_rules.labels < 1)).any(), "soft labels"
    named, _, given = load_strangers(bare, other_world / "truth.parquet", tiny_world.folder, home)
    assert given == other_world / "truth.parquet"
    np.testing.assert_array_equal(named.labels, strangers.labels)


def test_folders_that_cannot_be_used_are_named(tiny_world: TinyWorld, other_world: Path, tmp_path: Path) -> None:
    home = tiny_world.labelled.masters
    with pytest.raises(DataError, match="--data itself"):
        load_strangers(tiny_world.folder / ".", None, tiny_world.folder, home)
    with pytest.raises(DataError, match=str(tmp_path / "none")):
        load_strangers(tmp_path / "none", None, tiny_world.folder, home)
    moved = replace(home, latitude=np.where(home.location_id == home.location_id[2], 10.0, home.latitude))
    with pytest.raises(DataError, match=rf"{other_world}: location {home.location_id[2]} is at .* but at 10\.0"):
        load_strangers(other_world, None, tiny_world.folder, moved)
    abroad = replace(home, zones=TimeZones("Asia/Seoul", {int(home.location_id[2]): "Asia/Tokyo"}))
    with pytest.raises(
        DataError, match=rf"location {home.location_id[2]} is in the time zone Asia/Seoul, but in Asia/To"
    ):
        load_strangers(other_world, None, tiny_world.folder, abroad)
