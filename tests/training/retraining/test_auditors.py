"""Auditors who say the opposite of what is true: found, named, and told from those who only err."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from service.features.reference import Reference
from tests.support.trained import TinyWorld
from tests.training.retraining.auditing import write_verdicts
from training.errors import DataError
from training.retraining.auditors import LEAST_VERDICTS, Schooling, judge_auditors
from training.retraining.verdicts import Verdicts, read_verdicts
from training.samples.labelled_data import Material, load
from training.samples.samples import samples

HONEST = {"ann": 0.05, "bob": 0.05, "eve": 0.05}


def features(world: Material, reference: Reference) -> np.ndarray:  # type: ignore[type-arg]
    part = samples(world.events, world.labels, reference, causal=False, limit=world.max_length)
    table = np.empty_like(part.features)
    table[part.index] = part.features
    return table


@pytest.fixture(scope="module")
def audited(tiny_world: TinyWorld, other_world: Path) -> tuple[Material, np.ndarray, Schooling]:  # type: ignore[type-arg]
    """A world with its features, and what trees learn from: an earlier world."""
    world = load(other_world, other_world / "truth.parquet", tiny_world.labelled.max_length)[2]
    earlier = tiny_world.labelled
    reference = earlier.reference("train")
    return world, features(world, reference), Schooling(features(earlier, reference), earlier.labels)


def said(folder: Path, world: Material, errors: dict[str, float], each: int = 160, seed: int = 1) -> Verdicts:
    return read_verdicts(
        write_verdicts(folder / "verdicts.csv", world.events, world.labels, errors, each, seed), world.events
    )


@pytest.mark.parametrize("flips", [0.15, 0.4], ids=["fewer", "a tenth of all verdicts of four"])
def test_who_flips_some_of_his_verdicts_is_named(
    audited: tuple[Material, np.ndarray, Schooling],  # type: ignore[type-arg]
    tmp_path: Path,
    flips: float,
) -> None:
    world, table, schooling = audited
    verdicts = said(tmp_path, world, {**HONEST, "mallory": flips + 0.05})
    found = judge_auditors(verdicts, table, schooling, 1)
    assert [one.who for one in found if one.set_aside] == ["mallory"]
    assert found[0].share > found[0].expected + 0.05
    assert found[0].verdicts == 160


def test_honest_errors_are_forgiven(
    audited: tuple[Material, np.ndarray, Schooling],  # type: ignore[type-arg]
    tmp_path: Path,
) -> None:
    world, table, schooling = audited
    assert not any(one.set_aside for one in judge_auditors(said(tmp_path, world, HONEST), table, schooling, 1))
    alone = judge_auditors(said(tmp_path, world, {"ann": 0.05}, 120), table, schooling, 1)
    assert [one.set_aside for one in alone] == [False]


def test_without_an_earlier_world_the_others_are_the_evidence(
    audited: tuple[Material, np.ndarray, Schooling],  # type: ignore[type-arg]
    tmp_path: Path,
) -> None:
    world, table, _ = audited
    shared = {name: said(tmp_path, world, {name: error}, 100) for name, error in {**HONEST, "mallory": 0.6}.items()}
    each = list(shared.values())  # of one seed: all on the same events
    columns = ("row", "kind", "anomalous", "who", "probability")
    together = Verdicts(
        *(np.concatenate([getattr(one, name) for one in each]) for name in columns), said=400, first="", last=""
    )
    found = judge_auditors(together, table, None, 1)
    assert [one.who for one in found if one.set_aside] == ["mallory"]
    assert all(one.compared >= 90 for one in found)


def test_few_verdicts_say_nothing_of_their_auditor(
    audited: tuple[Material, np.ndarray, Schooling],  # type: ignore[type-arg]
    tmp_path: Path,
) -> None:
    world, table, schooling = audited
    verdicts = said(tmp_path, world, {"mallory": 1.0}, LEAST_VERDICTS - 4)
    assert [one.set_aside for one in judge_auditors(verdicts, table, schooling, 1)] == [False]


def test_swapped_words_are_no_bad_auditor(
    audited: tuple[Material, np.ndarray, Schooling],  # type: ignore[type-arg]
    tmp_path: Path,
) -> None:
    world, table, schooling = audited
    with pytest.raises(DataError, match="of the verdicts contradict all evidence: are confirmed and rejected swapped"):
        judge_auditors(said(tmp_path, world, {"ann": 0.95}, 120), table, schooling, 1)
