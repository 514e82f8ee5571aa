"""A session of onnxruntime on the first provider of a list that works here, and why those before it do not.

onnxruntime itself goes on without a provider that it lacks, with a line on standard output that is no log line.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import onnxruntime  # type: ignore[import-untyped]
from onnxruntime.capi import onnxruntime_pybind11_state  # type: ignore[import-untyped]

CPU = "CPUExecutionProvider"
"""The provider that every onnxruntime has, and that takes over what the others cannot."""

CUDA = "CUDAExecutionProvider"

_OPTIONS = {CUDA: {"use_tf32": "0"}}
"""TF32 keeps 10 bits of a number, and the steep pieces of the model's encoding multiply by up to 600."""

ONNX_ERRORS: tuple[type[Exception], ...] = (
    *(v for v in vars(onnxruntime_pybind11_state).values() if isinstance(v, type) and issubclass(v, Exception)),
    RuntimeError,  # a closed thread pool, conversions
    ValueError,  # inputs that the graph does not have
)
"""Everything that onnxruntime raises; its own exceptions have no common base."""


def open_session(
    onnx: Path | bytes, options: onnxruntime.SessionOptions, providers: Sequence[str]
) -> tuple[Any, dict[str, str]]:
    """Return (session, reasons): on the first of ``providers`` that works, on `CPU` if none does.

    The reasons are by provider, of those that were tried before.

    Raises:
        Exception: one of `ONNX_ERRORS`, if the file cannot be loaded.
    """
    reasons: dict[str, str] = {}
    for provider in providers:
        if provider == CPU:
            break
        session, reason = _try(onnx, options, provider)
        if session is not None:
            return session, reasons
        reasons[provider] = reason
    return onnxruntime.InferenceSession(onnx, options, providers=[CPU]), reasons


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keep onnxruntime from writing of what it lacks to standard error, where log lines may be JSON."""
    onnxruntime.set_default_logger_severity(4)
    try:
        yield
    finally:
        onnxruntime.set_default_logger_severity(2)  # its own default


def _try(onnx: Path | bytes, options: onnxruntime.SessionOptions, provider: str) -> tuple[Any, str]:
    """Return (session, "") on ``provider``, or (None, why there is none)."""
    if provider not in onnxruntime.get_available_providers():
        return None, f"the onnxruntime that is installed ({onnxruntime.__version__}) has it not"
    said = io.StringIO()
    with contextlib.redirect_stdout(said), _silent():  # standard output is for answers and audit logs
        if provider == CUDA and hasattr(onnxruntime, "preload_dlls"):
            onnxruntime.preload_dlls()  # those of the nvidia packages, which no search path of the system has
        try:
            wanted = [(provider, _OPTIONS.get(provider, {})), CPU]
            session = onnxruntime.InferenceSession(onnx, options, providers=wanted, enable_fallback=0)
        except ONNX_ERRORS as error:
            return None, " ".join(str(error).split())
    if session.get_providers()[0] != provider:  # it was left out, without an exception
        return None, " ".join(said.getvalue().split()) or "its libraries cannot be loaded, or there is no device"
    return session, ""
