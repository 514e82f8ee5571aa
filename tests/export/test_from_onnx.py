"""A network read back from its graph: the weights that were written, to the bit."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
import torch

from export.from_onnx import network_of, start_of_model
from export.to_onnx import export_onnx
from service.errors import ModelRepositoryError
from service.features.table import feature_spec_hash
from service.model.repository import load
from training.network.lstm import CalibratedModel, EpcLstm
from training.runs.folder import Run


def same_weights(one: torch.nn.Module, two: torch.nn.Module) -> bool:
    first, second = one.state_dict(), two.state_dict()
    return first.keys() == second.keys() and all(torch.equal(value, second[name]) for name, value in first.items())


def test_weights_with_attention_come_back(tiny_run: Path, tmp_path: Path) -> None:
    written = Run.load(tiny_run).model
    assert written.model.attention is not None
    export_onnx(written, tmp_path / "model.onnx")
    read = network_of(onnx.load(tmp_path / "model.onnx"))
    assert same_weights(written, read)


def test_the_bundled_network_is_read_and_another_graph_is_refused(bundled_repository: Path) -> None:
    model = load(bundled_repository, feature_spec_hash=feature_spec_hash())
    start = start_of_model(model)
    assert isinstance(start.model, CalibratedModel)
    assert isinstance(start.model.model, EpcLstm)
    assert start.weights.title == model.title
    strange = onnx.load_model_from_string(model.read_onnx())
    next(each for each in strange.graph.initializer if each.name == "model.encoding.mean").name = "mean"
    with pytest.raises(KeyError, match=r"model\.encoding\.mean"):
        network_of(strange)


def test_a_graph_that_answers_otherwise_than_what_was_read_is_refused(
    bundled_repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load(bundled_repository, feature_spec_hash=feature_spec_hash())
    graph = onnx.load_model_from_string(model.read_onnx())
    hard = next(node for node in graph.graph.node if node.op_type == "HardSigmoid")
    next(each for each in hard.attribute if each.name == "alpha").f = 0.3
    monkeypatch.setattr(type(model), "read_onnx", lambda _self: graph.SerializeToString())
    with pytest.raises(ModelRepositoryError, match=r"cannot be trained on.*--from the run folder"):
        start_of_model(model)
