"""An ONNX file as constants and nodes, read with the protobuf package that the gateway has anyway.

onnxruntime shows neither weights nor nodes of a model, and the onnx package would be 20 MB more for a gateway that
needs a few fields of five messages. So their types are described here, by the numbers that onnx.proto3 gives their
fields; protobuf skips all others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message
from numpy.typing import NDArray

from service.errors import EffectsUnavailable

Array = NDArray[Any]

_Field = descriptor_pb2.FieldDescriptorProto
_INT32, _INT64, _FLOAT, _BYTES = _Field.TYPE_INT32, _Field.TYPE_INT64, _Field.TYPE_FLOAT, _Field.TYPE_BYTES
_STRING = _Field.TYPE_STRING

_ONE, _MANY = _Field.LABEL_OPTIONAL, _Field.LABEL_REPEATED


class _Part(NamedTuple):
    """A field of a message: its number, label, and type, a scalar's or the name of a message."""

    number: int
    label: Any
    type: Any


_MESSAGES: dict[str, dict[str, _Part]] = {
    "Tensor": {
        "dims": _Part(1, _MANY, _INT64),
        "data_type": _Part(2, _ONE, _INT32),
        "float_data": _Part(4, _MANY, _FLOAT),
        "int32_data": _Part(5, _MANY, _INT32),
        "int64_data": _Part(7, _MANY, _INT64),
        "name": _Part(8, _ONE, _STRING),
        "raw_data": _Part(9, _ONE, _BYTES),
        "data_location": _Part(14, _ONE, _INT32),
    },
    "Attribute": {
        "name": _Part(1, _ONE, _STRING),
        "f": _Part(2, _ONE, _FLOAT),
        "i": _Part(3, _ONE, _INT64),
        "s": _Part(4, _ONE, _BYTES),
        "ints": _Part(8, _MANY, _INT64),
        "type": _Part(20, _ONE, _INT32),
    },
    "Node": {
        "input": _Part(1, _MANY, _STRING),
        "output": _Part(2, _MANY, _STRING),
        "op_type": _Part(4, _ONE, _STRING),
        "attribute": _Part(5, _MANY, "Attribute"),
    },
    "Graph": {"node": _Part(1, _MANY, "Node"), "initializer": _Part(5, _MANY, "Tensor")},
    "Model": {"graph": _Part(7, _ONE, "Graph")},
}

_TENSOR_TYPES: dict[int, Any] = {1: np.float32, 6: np.int32, 7: np.int64, 9: np.bool_, 11: np.float64}
"""`TensorProto.DataType` of the constants that export writes."""

_DATA_FIELDS = {1: "float_data", 6: "int32_data", 7: "int64_data", 9: "int32_data"}
"""Where their values are if they are not raw bytes."""


@dataclass(frozen=True, slots=True)
class Node:
    """One operation of a graph."""

    operator: str
    inputs: tuple[str, ...]  # names of values; "" for one that is left out
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes in the order of their work, and the constants that they use, by name."""

    nodes: tuple[Node, ...]
    constants: Mapping[str, Array]


def read_graph(content: bytes) -> Graph:
    """Return the graph of an ONNX file.

    Raises:
        EffectsUnavailable: it is no ONNX file, or has constants of an unknown type or outside of the file.
    """
    model: Any = _model_type()()
    try:
        model.ParseFromString(content)
    except DecodeError:
        raise EffectsUnavailable("its graph is no ONNX file") from None
    graph = model.graph
    if not graph.node:
        raise EffectsUnavailable("its graph is no ONNX file")
    nodes = tuple(
        Node(one.op_type, tuple(one.input), tuple(one.output), {each.name: _attribute(each) for each in one.attribute})
        for one in graph.node
    )
    return Graph(nodes, {one.name: _constant(one) for one in graph.initializer})


def _attribute(attribute: Any) -> Any:  # noqa: ANN401 - a message of a type made here; a value of its own type
    # The numbers are those of `AttributeProto.AttributeType`; no operator known here has one of another type.
    values = {1: lambda: attribute.f, 2: lambda: attribute.i, 3: attribute.s.decode}
    values[7] = lambda: list(attribute.ints)
    return values.get(attribute.type, lambda: None)()


def _constant(tensor: Any) -> Array:  # noqa: ANN401 - a message of a type made here
    kind = tensor.data_type
    if kind not in _TENSOR_TYPES or tensor.data_location:
        raise EffectsUnavailable(f"its graph has the constant {tensor.name} of a type that is not known here")
    shape = tuple(tensor.dims)
    flat: Array
    if tensor.raw_data or kind not in _DATA_FIELDS:
        flat = np.frombuffer(tensor.raw_data, dtype=_TENSOR_TYPES[kind])
    else:
        flat = np.array(getattr(tensor, _DATA_FIELDS[kind]), dtype=_TENSOR_TYPES[kind])
    if flat.size != int(np.prod(shape)):
        raise EffectsUnavailable(f"its graph has the constant {tensor.name} of another size than it says")
    return flat.reshape(shape)


def _model_type() -> type[Message]:
    """Return the type of the file's message, made in a pool of its own: the onnx package may be there too."""
    package = "epcsentinel.onnx"
    file = descriptor_pb2.FileDescriptorProto(name="epcsentinel/onnx.proto", package=package, syntax="proto3")
    for message, fields in _MESSAGES.items():
        made = file.message_type.add(name=message)
        for name, part in fields.items():
            field = made.field.add(name=name, number=part.number, label=part.label)
            if isinstance(part.type, str):
                field.type, field.type_name = _Field.TYPE_MESSAGE, f".{package}.{part.type}"
            else:
                field.type = part.type
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)  # type: ignore[no-untyped-call]
    found: type[Message] = message_factory.GetMessageClass(
        pool.FindMessageTypeByName(f"{package}.Model")  # type: ignore[no-untyped-call]
    )
    return found
