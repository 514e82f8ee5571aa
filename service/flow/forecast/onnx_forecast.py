"""A learned forecast from a file of the model, run by onnxruntime."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnxruntime  # type: ignore[import-untyped]

from service.errors import ModelRepositoryError
from service.flow.forecast.windows import FEATURES, Learned
from service.model.onnx_session import CPU, ONNX_ERRORS, open_session

INPUT_WINDOW, OUTPUT_MEASURES = "window", "measures"
"""Of every file: float32 [batch, days, F] and [batch, 3]."""


def load_learned(name: str, content: bytes, where: str, providers: Sequence[str] = (CPU,)) -> Learned:
    """Return the forecasts of an ONNX file.

    Raises:
        ModelRepositoryError: onnxruntime cannot use it, or it takes other windows.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # a window is too small to be shared
    options.log_severity_level = 4
    try:
        session, _ = open_session(content, options, providers)
        (window,) = session.get_inputs()
        _, length, features = window.shape
    except ONNX_ERRORS as error:
        raise ModelRepositoryError(f"{where} cannot be loaded: {' '.join(str(error).split())}") from None
    if features != len(FEATURES):
        raise ModelRepositoryError(f"{where} takes {features} features per day, this release has {len(FEATURES)}")

    def run(
        rows: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        (answer,) = session.run([OUTPUT_MEASURES], {INPUT_WINDOW: rows})
        return np.asarray(answer, dtype=np.float32)

    return Learned(name, int(length), run)
