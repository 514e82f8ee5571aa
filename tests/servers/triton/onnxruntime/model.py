"""Triton's `onnxruntime` backend in Python, for machines without the C++ one.

The wheel that brings the server has no C++ onnxruntime backend. A backend folder with this file lets the unchanged
production model folder (``backend: "onnxruntime"``) load and answer. It refuses what the C++ backend refuses: at load,
a graph that does not have the config's tensors, types and dimensions; Triton itself refuses requests that do not fit
the config; and one sequence that the graph cannot run fails its whole batch.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import triton_python_backend_utils as pb_utils  # of the server's Python backend
from numpy.typing import NDArray

_TYPES = {"TYPE_FP32": "tensor(float)", "TYPE_INT64": "tensor(int64)"}


class TritonPythonModel:
    """One instance of one version; the names of the methods are Triton's."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load ``<model>/<version>/model.onnx`` and compare it with the config."""
        config = json.loads(args["model_config"])
        path = Path(args["model_repository"]) / args["model_version"] / "model.onnx"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        _compare("input", config["input"], self._session.get_inputs())
        _compare("output", config["output"], self._session.get_outputs())
        self._inputs = [tensor["name"] for tensor in config["input"]]
        self._outputs = [tensor["name"] for tensor in config["output"]]

    def execute(self, requests: list[Any]) -> list[Any]:
        """Run all requests as one batch, as the C++ backend does (the batcher only joins equal shapes)."""
        columns = {
            # as_numpy() gives zero bytes under numpy 2.
            name: [np.from_dlpack(pb_utils.get_input_tensor_by_name(request, name)) for request in requests]
            for name in self._inputs
        }
        sizes = [len(part) for part in columns[self._inputs[0]]]
        try:
            results = self._session.run(self._outputs, {name: np.concatenate(c) for name, c in columns.items()})
        except Exception as error:
            failure = pb_utils.TritonError(f"onnx runtime error: {error}")
            return [pb_utils.InferenceResponse(error=failure) for _ in requests]
        parts = [np.split(result, np.cumsum(sizes)[:-1]) for result in results]
        return [self._response([part[i] for part in parts]) for i in range(len(requests))]

    def _response(self, arrays: list[NDArray[Any]]) -> Any:  # noqa: ANN401 - pb_utils has no types
        tensors = zip(self._outputs, map(_own, arrays), strict=True)
        return pb_utils.InferenceResponse([pb_utils.Tensor.from_dlpack(name, value) for name, value in tensors])


def _own(array: NDArray[Any]) -> onnxruntime.OrtValue:
    """Return ``array`` copied into memory of onnxruntime, whose DLPack capsule the stub can take over.

    `pb_utils.Tensor(name, array)` sends zero bytes under numpy 2; numpy's own capsule prints a traceback per response.
    """
    value = onnxruntime.OrtValue.ortvalue_from_shape_and_type(array.shape, array.dtype)
    value.update_inplace(np.ascontiguousarray(array))
    return value


def _compare(role: str, configured: list[dict[str, Any]], actual: list[Any]) -> None:
    """Raise unless the graph has exactly the configured tensors (the batch axis is not in the config)."""
    graph = {tensor.name: tensor for tensor in actual}
    if set(graph) != {tensor["name"] for tensor in configured}:
        raise ValueError(f"{role} of the config {[t['name'] for t in configured]}, of the graph {sorted(graph)}")
    for tensor in configured:
        found = graph[tensor["name"]]
        dims = [dim if isinstance(dim, int) else -1 for dim in found.shape[1:]]
        if dims != [int(dim) for dim in tensor["dims"]] or found.type != _TYPES[tensor["data_type"]]:
            raise ValueError(
                f"{role} {found.name}: config {tensor['data_type']} {tensor['dims']}, graph {found.type} {dims}"
            )
