"""What each stage of a request costs by itself on one core: the parts that the limit of the pipeline is made of."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
from numpy.typing import NDArray

from service import features
from service.backends import INPUT_FEATURES, INPUT_LENGTHS
from service.bench_load import Request
from service.convert import decode_request
from service.events import KINDS
from service.journeys import Journeys
from service.pipeline import Verdicts
from service.reference import Reference
from service.registry import Model
from service.responses import build_responses
from service.sequences import Windows, pad, whole_windows

STAGES = ("decode", "group", "features", "pad", "infer", "respond")

_IDEAL_BATCH = 128
"""Sequences per inference call; larger batches are no faster per event on a CPU."""

_T = TypeVar("_T")


class Stages:
    """Times the stages of requests in this thread, one after the other."""

    def __init__(self, model: Model) -> None:
        """Load the model for one thread."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(model.onnx_path, options, providers=["CPUExecutionProvider"])
        self._reference = Reference.from_json(model.manifest.reference)
        self._lengths = np.array(model.manifest.lengths)
        self._thresholds = np.array(model.manifest.thresholds.retrospective)

    def measure(self, requests: Sequence[Request]) -> dict[str, float]:
        """Return microseconds of processor time per event by stage, over all ``requests``.

        Inference is batched as well as it can be: over all requests together.
        """
        spent = dict.fromkeys(STAGES, 0.0)
        windows: list[tuple[NDArray[np.float32], NDArray[np.int64]]] = []

        def timed(stage: str, work: Callable[[], _T]) -> _T:
            begin = time.thread_time()
            result = work()
            spent[stage] += time.thread_time() - begin
            return result

        for request in requests:
            events, *_ = timed("decode", partial(decode_request, request.body, max_events=10**9, one_file=True))
            journeys = timed("group", partial(Journeys.of, events))
            table = timed("features", partial(features.compute, journeys, self._reference, causal=False))
            cut = timed("group", partial(whole_windows, journeys, int(self._lengths[-1])))
            windows += timed("pad", partial(self._pad, table, cut))
            verdicts = _some_verdicts(len(events))
            responses = timed("respond", partial(build_responses, events, verdicts))
            timed("respond", responses[0].SerializeToString)
        for batch, lengths in self._batches(windows):
            timed("infer", partial(self._session.run, None, {INPUT_FEATURES: batch, INPUT_LENGTHS: lengths}))
        events_total = sum(request.events for request in requests)
        return {stage: 1e6 * seconds / events_total for stage, seconds in spent.items()}

    def _pad(self, table: NDArray[np.float32], windows: Windows) -> list[tuple[NDArray[np.float32], NDArray[np.int64]]]:
        bucket = np.searchsorted(self._lengths, windows.length)
        padded = []
        for number in np.unique(bucket).tolist():
            rows = np.flatnonzero(bucket == number)
            length = windows.length[rows]
            padded.append((pad(table, windows.start[rows], length, int(self._lengths[number])), length[:, None]))
        return padded

    @staticmethod
    def _batches(
        windows: Sequence[tuple[NDArray[np.float32], NDArray[np.int64]]],
    ) -> list[tuple[NDArray[np.float32], NDArray[np.int64]]]:
        """Return the windows of all requests, by padded length, in ideal batches."""
        batches = []
        for length in sorted({part.shape[1] for part, _ in windows}):
            same = [(part, lengths) for part, lengths in windows if part.shape[1] == length]
            whole = np.concatenate([part for part, _ in same])
            lengths = np.concatenate([part for _, part in same]).astype(np.int64)
            for begin in range(0, len(whole), _IDEAL_BATCH):
                batches.append((whole[begin : begin + _IDEAL_BATCH], lengths[begin : begin + _IDEAL_BATCH]))
        return batches


def _some_verdicts(count: int) -> Verdicts:
    """Return verdicts that flag about one event in twelve, as a world with anomalies has them."""
    scores = np.random.default_rng(0).random((count, len(KINDS)), dtype=np.float32)
    return Verdicts(scores, scores > 1 - 0.08 / len(KINDS), "lstm-deep-learning", "epc_lstm/1", "")
