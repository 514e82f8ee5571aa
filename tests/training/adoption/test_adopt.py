"""The bundled network adopts a world of another simulator, without a label."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from export.adopted import adopt_folder
from service.errors import SentinelError
from service.events.vocabulary import KINDS
from service.features.reference import Reference
from service.features.table import feature_spec_hash
from service.model.repository import load, load_svm
from tests.support.foreign import write_foreign_world
from tests.support.gateway import ROOT
from tests.support.trained import silent
from training.adoption.settings import AdoptSettings
from training.adoption.weights import weights_of_model
from training.datasets import dataset
from training.datasets.dataset import Dataset
from training.datasets.truth import load_truth
from training.metrics.per_kind import per_kind
from training.metrics.ranking import MACRO
from training.samples.samples import samples

BUNDLED = ROOT / "model_repository"
NETWORK = load(BUNDLED, feature_spec_hash=feature_spec_hash())


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A foreign world of 3,000 items and its truth.csv."""
    folder = tmp_path_factory.mktemp("foreign")
    write_foreign_world(folder, 3_000, 5)
    return folder


@pytest.fixture(scope="module")
def adopted(foreign: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository that adopts it; its report beside it."""
    out = tmp_path_factory.mktemp("adopted") / "repository"
    adopt_folder(foreign, BUNDLED, out, out.with_name("report"), AdoptSettings(), silent)
    return out


def judged(world: Dataset, tables: Reference) -> NDArray[np.float32]:
    """Return what the bundled weights say of the events of a world."""
    unknown = np.zeros((len(world.events), len(KINDS)), dtype=np.float32)
    part = samples(world.events, unknown, tables, causal=False, limit=32)
    scores = np.empty_like(unknown)
    scores[part.index] = weights_of_model(NETWORK).score(part)
    return scores


def test_a_foreign_world_that_was_all_forged_is_known_once_adopted(foreign: Path, adopted: Path) -> None:
    world = dataset.load(foreign)
    truth = load_truth(foreign / "truth.csv", world.events).labels
    fresh = load(adopted, feature_spec_hash=feature_spec_hash())
    before, after = (judged(world, Reference.from_json(one.manifest.reference)) for one in (NETWORK, fresh))
    assert per_kind(truth, before)[MACRO]["ap"] < 0.6
    assert per_kind(truth, after)[MACRO]["ap"] > 0.94
    assert fresh.manifest.operating_points is not None
    cuts = np.array(fresh.manifest.operating_points["balanced"].retrospective, dtype=np.float32)
    false_alarms = (after >= cuts)[truth.max(axis=1) < 0.5].mean(axis=0)
    assert (false_alarms <= 0.01).all(), dict(zip(KINDS, false_alarms, strict=True))


def test_the_weights_are_the_same_file_and_the_lineage_says_whose(adopted: Path) -> None:
    fresh = load(adopted, feature_spec_hash=feature_spec_hash())
    assert fresh.manifest.files == NETWORK.manifest.files
    assert fresh.manifest.lineage["adopted_from"]["model"] == NETWORK.title  # type: ignore[index,call-overload]
    assert load_svm(adopted, fresh, feature_spec_hash=feature_spec_hash()) is not None


def test_the_report_says_what_was_set_aside_and_when_it_settled(adopted: Path) -> None:
    report = json.loads((adopted.with_name("report") / "report.json").read_text())
    assert 3 <= len(report["rounds"]) <= 12
    assert 0.01 < report["rounds"][-1]["aside"] / report["events"] < 0.1
    assert report["quarantined_rows"] == 12
    assert (adopted.with_name("report") / "quarantine.csv").is_file()


def test_two_hundred_rows_are_refused_with_what_is_missing(foreign: Path, tmp_path: Path) -> None:
    data = tmp_path / "few"
    data.mkdir()
    lines = (foreign / "a_hamburg.csv").read_text().splitlines(keepends=True)
    (data / "few.csv").write_text("".join(lines[:1] + lines[100:300]))
    (data / "locations.csv").write_bytes((foreign / "locations.csv").read_bytes())
    with pytest.raises(SentinelError, match=r"it takes 2,000 usable rows and 500 EPCs, 1,800 usable rows .* missing"):
        adopt_folder(data, BUNDLED, tmp_path / "repository", tmp_path / "report", AdoptSettings(), silent)
    assert not (tmp_path / "repository").exists()
