"""What each stage of a request costs by itself on one core: the parts that the limit of the pipeline is made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
from numpy.typing import NDArray

from service.api.requests import decode_request
from service.api.responses import build_responses
from service.bench.load import Request
from service.detect.detector import Judgement
from service.detect.names import Method
from service.events.vocabulary import KINDS
from service.features.case import View
from service.features.reference import Reference
from service.model.backend import INPUT_FEATURES, INPUT_LENGTHS
from service.model.repository import Model
from service.model.sequences import cut_to_batches
from service.runtime.timing import STAGES, listening, timed

_IDEAL_BATCH = 64
"""Sequences per inference call: larger batches leave the processor's cache and are slower per event."""

_Padded = tuple[NDArray[np.float32], NDArray[np.int64]]  # [B, T, F], [B, 1]


class Stages:
    """Runs the stages of requests in this thread, one after the other."""

    def __init__(self, model: Model) -> None:
        """Load the model for one thread."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(model.onnx_path, options, providers=["CPUExecutionProvider"])
        self._reference = Reference.from_json(model.manifest.reference)
        self._longest = model.manifest.lengths[-1]

    def measure(self, requests: Sequence[Request]) -> dict[str, float]:
        """Return microseconds of processor time per event by stage, over all ``requests``.

        Inference is batched as well as it can be: over all requests together, without any padding.
        """
        spent: dict[str, float] = dict.fromkeys(STAGES, 0.0)

        def hear(stage: str, _events: int, _wall_s: float, cpu_s: float) -> None:
            spent[stage] += cpu_s

        padded: list[_Padded] = []
        with listening(hear):
            for request in requests:
                padded += self._run(request)
            for features, lengths in _ideal_batches(padded):
                with timed("infer", int(lengths.sum())):
                    self._session.run(None, {INPUT_FEATURES: features, INPUT_LENGTHS: lengths})
        events_total = sum(request.events for request in requests)
        return {stage: 1e6 * seconds / events_total for stage, seconds in spent.items()}

    def _run(self, request: Request) -> list[_Padded]:
        """Do all but the inference; return what the model would get."""
        events = decode_request(request.body, max_events=10**9, one_file=True).events
        view = View(events, causal=False)
        case = view.case(self._reference)
        batches = list(cut_to_batches(case.features, view.windows(case, self._longest), None))
        judgement = _some_judgement(len(events))
        with timed("respond", len(events)):
            build_responses(events, judgement)[0].SerializeToString()
        return [(batch.features, batch.lengths) for batch in batches]


def _ideal_batches(padded: Sequence[_Padded]) -> Iterator[_Padded]:
    """Yield all sequences in batches of one length each."""
    longest = max(features.shape[1] for features, _ in padded)
    for length in range(1, longest + 1):
        parts = [features[lengths[:, 0] == length, :length] for features, lengths in padded]
        whole = np.concatenate([part for part in parts if len(part)] or [np.zeros((0, length, 1), dtype=np.float32)])
        for begin in range(0, len(whole), _IDEAL_BATCH):
            batch = whole[begin : begin + _IDEAL_BATCH]
            yield batch, np.full((len(batch), 1), length, dtype=np.int64)


def _some_judgement(count: int) -> Judgement:
    """Return a judgement that flags about one event in twelve, as a world with anomalies has them."""
    scores = np.random.default_rng(0).random((count, len(KINDS)), dtype=np.float32)
    return Judgement(scores, scores > 1 - 0.08 / len(KINDS), Method.LSTM, "epc_lstm/1")
