"""The numpy network answers as the backend does, and its gradients are those of torch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from service.effects.network import Network
from service.effects.onnx_file import read_graph
from service.errors import EffectsUnavailable
from service.features.table import feature_spec_hash
from service.model.backend import INPUT_FEATURES, INPUT_LENGTHS, OUTPUT_PROBABILITIES
from service.model.manifest import MODEL_NAME, SVM_NAME
from service.model.repository import load
from tests.service.effects.models import ARCHITECTURES, Exported, exported, gradient_of, logits_of, some_input
from tests.support.gateway import ROOT

REPOSITORY = ROOT / "model_repository"


@pytest.fixture(scope="module", params=[*ARCHITECTURES, "svm"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return exported(request.param, tmp_path_factory)


@pytest.mark.parametrize(("B", "T"), [(2, 1), (6, 5), (4, 9)])
def test_it_answers_as_onnxruntime_does(model: Exported, B: int, T: int) -> None:
    features, lengths = some_input(B, B, T)
    session = onnxruntime.InferenceSession(model.path)
    (expected,) = session.run([OUTPUT_PROBABILITIES], {INPUT_FEATURES: features, INPUT_LENGTHS: lengths})
    found = 1 / (1 + np.exp(-logits_of(model.network, features, lengths)))
    real = np.arange(T) < lengths
    np.testing.assert_allclose(found[real], expected[real], atol=2e-6)


@pytest.mark.parametrize("kind", range(5))
def test_its_gradients_are_those_of_torch(model: Exported, kind: int) -> None:
    features, lengths = some_input(7 + kind, 8, 6)
    position = (lengths[:, 0] - 1) // 2 if kind % 2 else lengths[:, 0] - 1
    found = gradient_of(model.network.trace(features, lengths, position), np.full(8, kind))
    leaf = torch.from_numpy(features).double().requires_grad_()
    logits = model.logits(leaf, torch.from_numpy(lengths))
    logits[torch.arange(8), torch.from_numpy(position), kind].sum().backward()
    assert leaf.grad is not None
    expected = leaf.grad.numpy()
    assert np.abs(expected).max() > 0.001, "there is something to compare"
    np.testing.assert_allclose(found, expected, atol=2e-5 * np.abs(expected).max())


def test_what_is_later_has_no_gradient_in_a_causal_sequence_and_has_one_in_a_whole_journey(model: Exported) -> None:
    features, lengths = some_input(3, 2, 6)
    third, kind = np.array([2, 2]), np.array([1, 1])
    found = gradient_of(model.network.trace(features, lengths, third), kind)
    assert (found[1, 3:] == 0).all()
    alone = "svm" in model.path.name or model.path.name == "lstm.onnx"  # of those that never look ahead
    assert (found[0, 3:] != 0).any() != alone
    padded = gradient_of(model.network.trace(features, np.array([[4], [4]]), third), kind)
    assert (padded[:, 4:] == 0).all()


def test_a_trace_can_be_gone_back_several_times(model: Exported) -> None:
    features, lengths = some_input(5, 4, 3)
    trace = model.network.trace(features, lengths, np.zeros(4, dtype=np.intp))
    first = gradient_of(trace, np.full(4, 2)).copy()
    other = gradient_of(trace, np.full(4, 3))
    assert not np.array_equal(first, other)
    np.testing.assert_array_equal(gradient_of(trace, np.full(4, 2)), first)


def test_several_gradients_at_once_are_those_of_one_after_the_other(model: Exported) -> None:
    features, lengths = some_input(6, 4, 5)
    trace = model.network.trace(features, lengths, (lengths[:, 0] - 1) // 2)
    seeds = np.random.default_rng(2).normal(size=(3, 4, 5)).astype(np.float32)
    alone = np.concatenate([trace.gradients(seeds[[one]]) for one in range(3)])
    np.testing.assert_allclose(trace.gradients(seeds), alone, atol=2e-6 * np.abs(alone).max())


def test_of_mixtures_it_says_what_it_says_of_windows_like_them(model: Exported) -> None:
    features, lengths = some_input(9, 6, 5)
    features[:, :, -1] = np.array([0, 1]).repeat(3)[:, None]  # windows that are mixed are of one mode
    lengths, position = np.array([[5], [4]]).repeat(3, axis=0), np.array([2, 3]).repeat(3)
    mix = np.array([[0.5, 0.25, 0.25], [0, 1, 0], [0.9, 0, 0.1], [0.2, 0.8, 0]], dtype=np.float32)
    mixed = (mix @ features.reshape(2, 3, -1)).reshape(8, 5, -1)
    found = model.network.trace(features, lengths, position, mix)
    expected = model.network.trace(mixed, lengths[::3].repeat(4, axis=0), position[::3].repeat(4))
    np.testing.assert_allclose(found.logits, expected.logits, atol=1e-5)
    seed = np.random.default_rng(1).normal(size=(8, 5)).astype(np.float32)
    back = mix.T @ expected.gradients(seed[None]).reshape(2, 4, -1)
    np.testing.assert_allclose(
        found.gradients(seed[None])[0], back.reshape(features.shape), atol=2e-5 * np.abs(back).max()
    )


def test_a_network_that_no_feature_moves_has_gradients_of_zero(tmp_path_factory: pytest.TempPathFactory) -> None:
    graph = read_graph(exported("bilstm", tmp_path_factory).path.read_bytes())
    dead = np.full_like(graph.constants["model.project.bias"], -1e6)  # no unit lets anything through
    network = Network(replace(graph, constants={**graph.constants, "model.project.bias": dead}))
    features, lengths = some_input(5, 4, 3)
    found = gradient_of(network.trace(features, lengths, np.zeros(4, dtype=np.intp)), np.zeros(4, dtype=np.intp))
    np.testing.assert_array_equal(found, np.zeros_like(features))


@pytest.mark.parametrize("name", [MODEL_NAME, SVM_NAME])
def test_the_bundled_models_are_read_and_proven(name: str) -> None:
    bundled = load(REPOSITORY, feature_spec_hash=feature_spec_hash(), name=name)
    network = Network.read(bundled.read_onnx(), bundled.manifest)
    features = np.array(bundled.manifest.probe.features, dtype=np.float32)
    logits = logits_of(network, features, np.array(bundled.manifest.probe.lengths))
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), bundled.manifest.probe.probabilities, atol=1e-4)


def test_a_file_of_another_model_is_refused() -> None:
    lstm, svm = (load(REPOSITORY, feature_spec_hash=feature_spec_hash(), name=name) for name in (MODEL_NAME, SVM_NAME))
    with pytest.raises(EffectsUnavailable, match="differs by 0"):
        Network.read(svm.read_onnx(), lstm.manifest)


def test_unknown_operators_are_refused_by_their_names(tmp_path_factory: pytest.TempPathFactory) -> None:
    graph = exported("lstm", tmp_path_factory)
    changed = onnx.load(graph.path)
    next(node for node in changed.graph.node if node.op_type == "Relu").op_type = "Selu"
    with pytest.raises(EffectsUnavailable, match="operators Selu, which are not known here"):
        Network(read_graph(changed.SerializeToString()))


def test_a_graph_that_uses_an_operator_otherwise_is_refused() -> None:
    bundled = load(REPOSITORY, feature_spec_hash=feature_spec_hash())
    changed = onnx.load_from_string(bundled.read_onnx())
    del next(node for node in changed.graph.node if node.op_type == "Transpose").attribute[:]
    with pytest.raises(EffectsUnavailable, match="in a way that is not known here"):
        Network.read(changed.SerializeToString(), bundled.manifest)


def test_a_graph_with_another_end_is_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    graph = exported("lstm", tmp_path_factory)
    changed = onnx.load(graph.path)
    changed.graph.node[-1].op_type = "Sum"
    with pytest.raises(EffectsUnavailable, match="does not end with a sigmoid"):
        Network(read_graph(changed.SerializeToString()))
