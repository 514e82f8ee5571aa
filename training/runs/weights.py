"""The weights as they are: the graph of a repository, or the model of a run, asked about samples."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
from numpy.typing import NDArray

from service.detect.detector import raise_certain
from service.errors import ModelUnavailable, UnusableFeatures
from service.events.vocabulary import KINDS
from service.model.backend import INPUT_FEATURES, INPUT_LENGTHS, OUTPUT_PROBABILITIES
from service.model.manifest import Points, Thresholds
from service.model.onnx_session import CPU, ONNX_ERRORS, open_session
from service.model.repository import Model
from service.model.sequences import Batch, cut_to_batches
from training.network.predict import predict
from training.runs.folder import Run
from training.samples.samples import Samples, Score

_THREADS = 2
"""Calls at a time; two side by side scale, two threads within one do not."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainedWeights:
    """Trained weights, and what is said of them."""

    title: str  # name and version, or the run folder
    model: Score  # bare, as the graph says
    max_length: int  # events of a window
    thresholds: Thresholds
    points: Points | None  # None: its thresholds are those of every operating point
    histograms: Mapping[str, Any]  # by mode: features and scores of the events that it was checked on

    def score(self, part: Samples) -> NDArray[np.float32]:
        """Return the probabilities [N, 5] of samples as a gateway gives them.

        Raises:
            UnusableFeatures: a feature is not finite.
        """
        if not np.isfinite(part.features).all():
            raise UnusableFeatures("a feature of the samples is not finite: they cannot be judged")
        scores = self.model(part)
        raise_certain(part.features, scores)
        return scores


def weights_of_model(model: Model) -> TrainedWeights:
    """Return the network of a repository, run by onnxruntime: the graph that is served, to the bit.

    Raises:
        ModelRepositoryError: its file is not that of the manifest.
        ModelUnavailable: it cannot be loaded.
    """
    manifest = model.manifest
    return TrainedWeights(
        model.title,
        _on_onnx(model),
        manifest.lengths[-1],
        manifest.thresholds,
        manifest.operating_points,
        manifest.histograms,
    )


def weights_of_run(run: Run, title: str) -> TrainedWeights:
    """Return the network of a training."""
    record = run.record
    model = partial(predict, run.model)
    return TrainedWeights(title, model, run.lengths[-1], record.thresholds, record.operating_points, record.histograms)


def _on_onnx(model: Model) -> Score:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        session, _ = open_session(model.read_onnx(), options, [CPU])
    except ONNX_ERRORS as error:
        raise ModelUnavailable(f"{model.title} cannot be loaded") from error

    def score(part: Samples) -> NDArray[np.float32]:
        windows = part.to_judge
        answers = np.zeros((len(windows.start), int(windows.length.max()), len(KINDS)), dtype=np.float32)

        def call(batch: Batch) -> None:
            inputs = {INPUT_FEATURES: batch.features, INPUT_LENGTHS: batch.lengths}
            (answer,) = session.run([OUTPUT_PROBABILITIES], inputs)
            answers[batch.rows, : answer.shape[1]] = answer

        with ThreadPoolExecutor(_THREADS) as pool:
            for _ in pool.map(call, cut_to_batches(part.features, windows, None)):
                pass
        found: NDArray[np.float32] = answers[windows.window_of, windows.offset_of]
        return found

    return score
