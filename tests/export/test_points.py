"""Points found on worlds that the training never saw: what changes, what stays, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from export.points import POINTS, _judged, set_points
from service.errors import ModelRepositoryError
from service.events.vocabulary import KINDS, OperatingPoint
from service.features.table import feature_spec_hash
from service.model.manifest import SVM_NAME
from service.model.repository import load, versions
from tests.support.foreign import write_foreign_world
from tests.support.trained import TinyWorld, silent
from training.errors import DataError
from training.evaluation.data_under_test import whole
from training.network import calibration
from training.runs.under_test import UnderTest
from training.runs.weights import weights_of_model
from training.samples.samples import samples


@pytest.fixture
def repository(exported: Path, tmp_path: Path) -> Path:
    return shutil.copytree(exported, tmp_path / "repository")


def test_balanced_and_precise_are_those_of_the_worlds_and_all_else_stays(repository: Path, other_world: Path) -> None:
    before = load(repository, feature_spec_hash=feature_spec_hash())
    assert set_points(repository, [other_world], silent) == repository / "epc_lstm" / "2"
    assert versions(repository) == versions(repository, SVM_NAME) == [1, 2]
    after = load(repository, feature_spec_hash=feature_spec_hash())
    network = UnderTest.of(repository)
    subject, _ = whole(network.reference, other_world, other_world / "truth.parquet")
    points = after.manifest.operating_points
    assert points is not None
    for causal, mode in enumerate(("retrospective", "causal")):
        part = samples(subject.events, subject.known.labels, network.reference, causal=bool(causal), limit=32)
        sensitive = before.manifest.thresholds.of(mode)
        expected = calibration.points(network.weights.model(part), part.labels, sensitive)
        assert {point: points[point].of(mode) for point in OperatingPoint} == expected
    assert points != before.manifest.operating_points
    assert after.manifest.files == before.manifest.files
    assert after.manifest.reference == before.manifest.reference
    assert after.manifest.thresholds == before.manifest.thresholds == points[OperatingPoint.SENSITIVE]
    assert np.array(after.manifest.expected_error).shape == np.array(before.manifest.expected_error).shape
    assert len(after.manifest.thresholds.causal) == len(KINDS)
    (origin,) = after.manifest.lineage[POINTS]  # type: ignore[misc, union-attr]
    assert origin["data"] == str(other_world)  # type: ignore[index, call-overload]
    svm = load(repository, feature_spec_hash=feature_spec_hash(), name=SVM_NAME).manifest
    assert svm.ensemble is not None
    assert svm.ensemble.operating_points is not None
    assert svm.ensemble.operating_points[OperatingPoint.SENSITIVE] == svm.ensemble.thresholds


def test_a_version_is_only_overwritten_if_that_is_wanted(repository: Path, other_world: Path) -> None:
    with pytest.raises(ModelRepositoryError, match=r"version 1 is taken .* the next one, 2, is free"):
        set_points(repository, [other_world], silent, 1)
    set_points(repository, [other_world], silent, 1, replace=True)
    assert versions(repository) == [1]


def test_what_the_training_had_and_what_nobody_knows_the_truth_of_sets_no_points(
    repository: Path, tiny_world: TinyWorld, other_world: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="has learned from these files"):
        set_points(repository, [tiny_world.folder], silent)
    bare = shutil.copytree(other_world, tmp_path / "bare")
    (bare / "truth.parquet").unlink()
    with pytest.raises(DataError, match="has no truth"):
        set_points(repository, [bare], silent)
    manifest = repository / "epc_lstm" / "1" / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"operating_points": None}))
    with pytest.raises(ModelRepositoryError, match="has no points"):
        set_points(repository, [other_world], silent)
    assert versions(repository) == [1]


def test_a_world_of_another_network_is_judged_as_it_is_served(exported: Path, tmp_path: Path) -> None:
    truth = write_foreign_world(tmp_path, 1_000, 5)
    model = load(exported, feature_spec_hash=feature_spec_hash())
    (said, _), _ = _judged(tmp_path, model, None)
    network = UnderTest.of(exported)
    subject, _ = whole(network.reference, tmp_path, truth)
    limit, score = network.weights.max_length, weights_of_model(model).model
    np.testing.assert_array_equal(said.scores["network"], score(subject.samples(causal=False, limit=limit)))
    bare = samples(subject.events, subject.known.labels, network.reference, causal=False, limit=limit)
    assert np.abs(said.scores["network"] - score(bare)).max() > 0.1
