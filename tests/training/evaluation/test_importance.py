"""What features are worth to the one-class SVMs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from service.detect.unknown_codes import UsualCodes
from service.events.vocabulary import KINDS, MODES
from service.features.table import INDEX, NAMES
from tests.support.trained import TinyWorld
from training.evaluation.data_under_test import OwnData
from training.evaluation.evaluate import judge
from training.evaluation.importance import AP_LOST, FEATURE, importance_rows
from training.evaluation.slices import Judged
from training.metrics.per_kind import per_kind
from training.network.one_class_svm import OneClassSvms, columns_of
from training.runs.folder import Run


@pytest.fixture(scope="module")
def run(tiny_run: Path) -> Run:
    return Run.load(tiny_run)


@pytest.fixture(scope="module")
def judged(tiny_world: TinyWorld, run: Run) -> dict[str, Judged]:
    return judge(run, OwnData(tiny_world.dataset, tiny_world.known).test_split())


@pytest.fixture(scope="module")
def usual(run: Run) -> UsualCodes:
    return UsualCodes(run.reference)


@pytest.fixture(scope="module")
def svm(run: Run) -> OneClassSvms:
    assert run.svm is not None
    return run.svm


def test_each_kind_has_the_features_that_its_svm_sees(
    svm: OneClassSvms, judged: dict[str, Judged], usual: UsualCodes
) -> None:
    rows = list(importance_rows(svm, judged, usual, seed=1))
    assert rows == list(importance_rows(svm, judged, usual, seed=1)), "seeded"
    assert {row.metric for row in rows} == {AP_LOST}
    for mode, part in judged.items():
        for column, kind in enumerate(KINDS):
            found = [row.slice.removeprefix(FEATURE) for row in rows if (row.mode, row.kind) == (mode, kind)]
            anomalous = part.samples.labels[:, column] >= 0.5
            assert found == ([NAMES[index] for index in columns_of(kind)] if anomalous.any() else [])


def test_the_loss_is_that_of_shuffling_the_feature(
    svm: OneClassSvms, judged: dict[str, Judged], usual: UsualCodes
) -> None:
    """A feature that is all a kind's truth is worth most of its AP, one that does not vary nothing."""
    part = judged[MODES[0]].samples
    kind, column = "locErr", KINDS.index("locErr")
    told, constant = (INDEX[name] for name in ("lane_logp", "scan_log"))
    table, labels = part.features.copy(), np.zeros_like(part.labels)
    table[:] = np.median(table, axis=0)
    anomalous = np.random.default_rng(0).random(len(table)) < 0.05
    table[anomalous, told] -= 50
    labels[anomalous, column] = 1
    made = Judged(replace(part, features=table, labels=labels), {})
    found = {row.slice: row.value for row in importance_rows(svm, {MODES[0]: made}, usual, seed=0) if row.kind == kind}
    assert found[f"{FEATURE}lane_logp"] > 0.7
    assert found[f"{FEATURE}scan_log"] == 0
    assert constant in columns_of(kind)
    assert per_kind(labels, svm.logits(table, causal=False))[kind]["ap"] == pytest.approx(1)


def test_the_logits_of_one_kind_are_those_of_all(svm: OneClassSvms, judged: dict[str, Judged]) -> None:
    table = judged[MODES[1]].samples.features[:300]
    raw = svm.logits(table, causal=True)
    for column in range(len(KINDS)):
        expected = svm.a[1, column].item() * raw[:, column] + svm.b[1, column].item()
        np.testing.assert_allclose(svm.logits_of(column, table, causal=True), expected, rtol=1e-5, atol=1e-5)
