"""From the models of a gateway to what effects are worked out from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from service.detect import rules
from service.detect.ensemble import Members, weigh
from service.effects.gradients import effects
from service.effects.operation import sigmoid
from service.effects.sources import Sources
from service.errors import EffectsUnavailable
from service.features.table import feature_spec_hash
from service.model.manifest import MODEL_FILE, SVM_NAME, digest_of
from service.model.repository import Model, load
from tests.service.effects.conftest import Explained
from tests.support.gateway import ROOT


@pytest.mark.parametrize("spared", [None, np.arange(50) % 2 > 0])
@pytest.mark.parametrize("causal", [False, True])
def test_scores_are_those_of_each_detector(
    explained: Explained, causal: bool, spared: NDArray[np.bool_] | None
) -> None:
    sources, asked = Sources.of(explained.model, explained.svms), replace(explained.ask(causal, 50), spared=spared)
    combination = explained.svms.manifest.ensemble
    assert combination is not None
    rows = np.arange(len(asked))
    one_by_one = [
        sigmoid(network.trace(asked.features, asked.lengths, asked.position).logits)
        for network in (explained.network, explained.svm)
    ]
    opinion = rules.opinion(asked.events)
    members = Members(*(one.astype(np.float32) for one in one_by_one), opinion, spared)
    without_svm = weigh(replace(members, svm=None), combination, int(causal))
    every = [*one_by_one, weigh(members, combination, int(causal)), without_svm]  # before the priority of certain rules
    asked_of = (sources.lstm, sources.svm, sources.ensemble, sources.without_svm)
    for mixture, expected in zip(asked_of, every, strict=True):
        assert mixture is not None
        found = effects(mixture, sources.normal, asked).score
        np.testing.assert_allclose(found, 100 * expected[rows[:, None], asked.kinds], atol=0.02)


def test_without_svms_the_network_alone_is_explained(explained: Explained) -> None:
    sources = Sources.of(explained.model)
    assert sources.svm is sources.ensemble is sources.without_svm is None


def test_a_release_without_normal_events_says_so_by_its_name(explained: Explained) -> None:
    older = replace(explained.model, manifest=explained.model.manifest.model_copy(update={"baseline": None}))
    with pytest.raises(
        EffectsUnavailable, match="effects are not available for epc_lstm/1: its manifest has no normal"
    ):
        Sources.of(older)
    assert explained.svms.manifest.baseline is None, "it is of the features, so of both models: the network has it"


def test_a_graph_that_answers_otherwise_than_its_probe_switches_effects_off(
    explained: Explained, tmp_path: Path
) -> None:
    graph = onnx.load(explained.model.onnx_path)
    head = next(one for one in graph.graph.initializer if one.name == "model.head.bias")
    head.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(head) + np.float32(0.1), head.name))
    path = tmp_path / MODEL_FILE
    onnx.save(graph, path)
    manifest = explained.model.manifest.model_copy(update={"files": {MODEL_FILE: digest_of(path)}})
    with pytest.raises(EffectsUnavailable, match="epc_lstm/1: its answer to the probe, worked out here, differs by"):
        Sources.of(replace(explained.model, manifest=manifest, onnx_path=path))


def test_svms_that_are_not_understood_leave_the_network_explained(explained: Explained) -> None:
    bundled = load(ROOT / "model_repository", feature_spec_hash=feature_spec_hash(), name=SVM_NAME)
    wrong = Model(SVM_NAME, 1, bundled.manifest, explained.svms.onnx_path)
    other = replace(wrong, manifest=bundled.manifest.model_copy(update={"files": explained.svms.manifest.files}))
    sources = Sources.of(explained.model, other)
    assert sources.warning.startswith("effects are not available for epc_svm/1: its answer to the probe")
    assert sources.svm is sources.ensemble is None
    assert effects(sources.lstm, sources.normal, explained.ask(False, 3)).score.shape == (3, 2)
