"""The parts of the networks that export makes: what is worked out once, and what for the asked events alone."""

from __future__ import annotations

import pytest

from service.effects.onnx_file import read_graph
from service.effects.parts import Part, bends_of, cut
from service.model.backend import INPUT_FEATURES, OUTPUT_PROBABILITIES
from tests.service.effects.models import ARCHITECTURES, exported


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_what_meets_the_features_first_is_before_the_bends(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    graph = read_graph(exported(name, tmp_path_factory).path.read_bytes())
    head = Part(graph.nodes, {INPUT_FEATURES}, bends_of(graph.nodes, INPUT_FEATURES, OUTPUT_PROBABILITIES))
    passed = [head.nodes[number].operator for number in head.way]
    assert "Mul" in passed, "features are scaled"
    assert ("Gemm" in passed) == (ARCHITECTURES[name].pieces > 0)
    assert {"Clip", "HardSigmoid", "LSTM"}.isdisjoint(passed)


def test_a_vector_machine_bends_at_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    graph = read_graph(exported("svm", tmp_path_factory).path.read_bytes())
    assert bends_of(graph.nodes, INPUT_FEATURES, OUTPUT_PROBABILITIES) == {INPUT_FEATURES}, "its scale is of the mode"
    assert cut(graph.nodes, {INPUT_FEATURES}, OUTPUT_PROBABILITIES) is None


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_behind_the_last_lstm_events_are_alone_but_for_attention(
    name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    graph = read_graph(exported(name, tmp_path_factory).path.read_bytes())
    halves = cut(graph.nodes, {INPUT_FEATURES}, OUTPUT_PROBABILITIES)
    assert (halves is None) == ARCHITECTURES[name].attention
    if halves is not None:
        below, above, memory = halves
        assert memory in below.nodes[-1].outputs
        assert "LSTM" not in [node.operator for node in above.nodes]
