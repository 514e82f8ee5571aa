"""What can only go wrong with the embedded model."""

from __future__ import annotations

from pathlib import Path

import pytest
from onnxruntime.capi import onnxruntime_pybind11_state

from service.errors import ModelUnavailable
from service.model.onnx_backend import OnnxBackend
from service.model.onnx_session import ONNX_ERRORS


def test_every_exception_of_onnxruntime_is_mapped() -> None:
    vendor = [v for v in vars(onnxruntime_pybind11_state).values() if isinstance(v, type) and issubclass(v, Exception)]
    assert {"Fail", "InvalidArgument", "RuntimeException", "NoSuchFile"} <= {error.__name__ for error in vendor}
    assert all(issubclass(error, ONNX_ERRORS) for error in vendor)


@pytest.mark.parametrize("content", [None, b"", b"not a model"])
def test_file_that_is_no_model(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "model.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelUnavailable) as caught:
        OnnxBackend(path)
    assert str(tmp_path) not in str(caught.value)
    assert isinstance(caught.value.__cause__, ONNX_ERRORS)
