"""The reader of ONNX files reads what the onnx package reads."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from service.effects.onnx_file import read_graph
from service.errors import EffectsUnavailable
from service.model.manifest import MODEL_NAME, SVM_NAME
from tests.support.gateway import ROOT


@pytest.mark.parametrize("name", [MODEL_NAME, SVM_NAME])
def test_it_reads_what_the_onnx_package_reads(name: str) -> None:
    path = ROOT / "model_repository" / name / "1" / "model.onnx"
    expected, found = onnx.load(path).graph, read_graph(path.read_bytes())
    assert len(found.nodes) == len(expected.node) > 50
    for node, one in zip(expected.node, found.nodes, strict=True):
        assert (one.operator, one.inputs, one.outputs) == (node.op_type, tuple(node.input), tuple(node.output))
        values = {each.name: helper.get_attribute_value(each) for each in node.attribute}
        assert one.attributes == {key: v.decode() if isinstance(v, bytes) else v for key, v in values.items()}
    assert found.constants.keys() == {tensor.name for tensor in expected.initializer}
    for tensor in expected.initializer:
        np.testing.assert_array_equal(found.constants[tensor.name], numpy_helper.to_array(tensor), strict=True)


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.int32, np.bool_])
def test_constants_are_read_however_they_are_written(dtype: type[np.generic], raw: bool) -> None:
    values = np.array([[1, 0, 3], [0, 5, 6]]).astype(dtype)
    kind = helper.np_dtype_to_tensor_dtype(values.dtype)
    tensor = helper.make_tensor(
        "c", kind, values.shape, values.tobytes() if raw else values.flatten().tolist(), raw=raw
    )
    found = read_graph(_model(tensor)).constants["c"]
    np.testing.assert_array_equal(found, values, strict=True)


def test_what_is_no_onnx_file_is_refused() -> None:
    for content in (b"", b"not a graph at all", b"\x00" * 50):
        with pytest.raises(EffectsUnavailable, match="no ONNX file"):
            read_graph(content)


def test_constants_elsewhere_or_of_another_type_or_size_are_refused() -> None:
    outside = helper.make_tensor("outside", onnx.TensorProto.FLOAT, [2], [1, 2])
    outside.data_location = onnx.TensorProto.EXTERNAL
    half = helper.make_tensor("half", onnx.TensorProto.FLOAT16, [2], [1, 2])
    short = helper.make_tensor("short", onnx.TensorProto.FLOAT, [2], [1, 2])
    short.dims[0] = 3
    for tensor in (outside, half, short):
        with pytest.raises(EffectsUnavailable, match=f"constant {tensor.name} of"):
            read_graph(_model(tensor))


def _model(tensor: onnx.TensorProto) -> bytes:
    graph = helper.make_graph([helper.make_node("Relu", ["c"], ["y"])], "g", [], [], [tensor])
    return bytes(helper.make_model(graph).SerializeToString())
