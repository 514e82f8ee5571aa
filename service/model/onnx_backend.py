"""The backend that runs the model in this process, with onnxruntime."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
from numpy.typing import NDArray

from service.errors import ModelUnavailable
from service.events.vocabulary import KINDS
from service.model.backend import INPUT_FEATURES, INPUT_LENGTHS, OUTPUT_PROBABILITIES, infer_in_chunks
from service.model.onnx_session import CPU, ONNX_ERRORS, open_session
from service.model.sequences import with_little_padding
from service.runtime import threads
from service.runtime.deadline import Deadline
from service.runtime.timing import timed

_CACHED = 64
"""Sequences that a processor gets at once: more do not fit into its cache, and cost more each."""


class OnnxBackend:
    """Runs the model file in this process with onnxruntime."""

    any_length = True
    on_trial = False

    def __init__(self, onnx: Path | bytes, threads: int = 2, providers: Sequence[str] = (CPU,)) -> None:
        """Load the model ``onnx``, a file or its contents, on the first of onnxruntime's ``providers`` that works here.

        Up to ``threads`` calls run at the same time, one core each.

        Raises:
            ModelUnavailable: the file cannot be loaded.
        """
        options = onnxruntime.SessionOptions()
        # Two threads within one call are slower than one; two calls side by side on one session scale.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # errors arrive as exceptions
        with vendor_errors("the embedded model cannot be loaded"):
            self._session, self.refused = open_session(onnx, options, providers)  # why others do not run it, by name
            (self._features,) = (i.shape[2] for i in self._session.get_inputs() if i.name == INPUT_FEATURES)
        self.provider: str = self._session.get_providers()[0]  # that runs it
        self._threads = threads
        self._closed = False
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="onnx")

    async def infer(
        self, features: NDArray[np.float32], lengths: NDArray[np.int64], deadline: Deadline
    ) -> NDArray[np.float32]:
        """See `Backend.infer`."""
        if features.shape[-1] != self._features:
            raise ModelUnavailable(f"the model takes {self._features} features per event, got {features.shape[-1]}")
        return await infer_in_chunks(self._run, features, lengths, deadline, parallel=self._threads)

    async def prepare(self) -> None:
        """See `Backend.prepare`: it is loaded."""

    async def retire(self) -> None:
        """See `Backend.retire`: nobody else uses it."""

    async def renew(self) -> None:
        """See `Backend.renew`: there is no connection."""

    async def close(self) -> None:
        """Wait for running calls and stop the threads; later calls fail with ModelUnavailable."""
        self._closed = True
        await asyncio.to_thread(self._pool.shutdown, cancel_futures=True)
        self._session = None  # its memory is free now, not when somebody looks for garbage

    async def _run(
        self, features: NDArray[np.float32], lengths: NDArray[np.int64], _deadline: Deadline
    ) -> NDArray[np.float32]:
        options = onnxruntime.RunOptions()
        if threads.on_loop(threads.INFERENCE, len(features)) and not self._closed:  # a closed pool refuses
            with vendor_errors("the embedded model failed"):
                return self._run_timed(features, lengths, options)
        try:
            with vendor_errors("the embedded model failed"):
                run = partial(self._run_timed, features, lengths, options)
                probabilities = await asyncio.get_running_loop().run_in_executor(
                    self._pool,
                    copy_context().run,
                    run,  # the context has the trace
                )
        except asyncio.CancelledError:
            options.terminate = True  # nobody waits any more: free the thread
            raise
        return probabilities

    def _run_timed(
        self, features: NDArray[np.float32], lengths: NDArray[np.int64], options: onnxruntime.RunOptions
    ) -> NDArray[np.float32]:
        probabilities = np.zeros((*features.shape[:2], len(KINDS)), dtype=np.float32)
        with timed("infer", int(lengths.sum())):
            on_processor = self.provider == CPU  # else a call has `CHUNK` sequences at most
            for rows in with_little_padding(lengths, _CACHED) if on_processor else [slice(None)]:
                length = lengths[rows]
                longest = int(length.max())
                inputs = {INPUT_FEATURES: np.ascontiguousarray(features[rows, :longest]), INPUT_LENGTHS: length}
                if (session := self._session) is None:
                    raise ModelUnavailable("the embedded model was closed")
                (answer,) = session.run([OUTPUT_PROBABILITIES], inputs, options)
                probabilities[rows, :longest] = answer
        return probabilities


@contextmanager
def vendor_errors(message: str) -> Iterator[None]:
    """Turn whatever onnxruntime raises into ModelUnavailable with ``message``; the original is chained for the log."""
    try:
        yield
    except ONNX_ERRORS as error:
        raise ModelUnavailable(message) from error
