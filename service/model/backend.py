"""Backends run the model: feature sequences in, probabilities out. One contract, its checks and its probe.

`onnx_backend` runs the model in this process; `triton_backend` asks a model server. Siblings never meet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from service.errors import DeadlineExceeded, ModelUnavailable, WrongModel
from service.events.vocabulary import KINDS
from service.model.manifest import Manifest
from service.runtime.deadline import Deadline
from service.runtime.tasks import together

INPUT_FEATURES = "features"

INPUT_LENGTHS = "lengths"

OUTPUT_PROBABILITIES = "probabilities"

CHUNK = 256
"""Sequences of one inference call. A larger request is cut into such calls, so that it uses several threads or
instances and small requests find their turn in between; from 32 sequences on, larger calls are no faster per event."""

PROBE_TOLERANCE = 1e-4
"""Largest difference of a probability between the golden probe and a live backend (a GPU rounds differently)."""

PROBE_TIMEOUT_S = 5.0

RunChunk = Callable[[NDArray[np.float32], NDArray[np.int64], Deadline], Awaitable[NDArray[np.float32]]]
"""Runs up to CHUNK sequences: (features, lengths, deadline) -> probabilities."""


class Backend(Protocol):
    """Runs one version of the model. Vendor exceptions never leave a backend."""

    @property
    def any_length(self) -> bool:
        """Whether requests are best padded to their own longest sequence, not to one of the manifest's lengths."""
        ...

    @property
    def on_trial(self) -> bool:
        """Whether the next call decides if further ones will be let through: of a request, one goes ahead then."""
        ...

    async def infer(
        self, features: NDArray[np.float32], lengths: NDArray[np.int64], deadline: Deadline
    ) -> NDArray[np.float32]:
        """Return probabilities [B, T, 5] for features [B, T, F] and lengths [B, 1], 1 <= length <= T.

        Raises:
            ModelUnavailable: the model cannot answer.
            DeadlineExceeded: it was not done in time.
        """
        ...

    async def prepare(self) -> None:
        """Have the model loaded by what runs it, where that is for this gateway to say; before each probe.

        Raises:
            ModelUnavailable: it cannot be loaded.
        """
        ...

    async def retire(self) -> None:
        """Have the model unloaded, which no gateway uses any more, where that is for this gateway to say; as above."""
        ...

    async def renew(self) -> None:
        """Forget connections that may be dead, and make new ones with the next call; those in use may end first."""
        ...

    async def close(self) -> None:
        """Free what the backend holds."""
        ...


async def probe(backend: Backend, manifest: Manifest) -> None:
    """Ask ``backend`` for the golden probe of ``manifest``: "ready" means that the model answers, and answers right.

    Raises:
        WrongModel: another model answers.
        ModelUnavailable: it does not answer within `PROBE_TIMEOUT_S`.
    """
    golden = manifest.probe
    expected = np.array(golden.probabilities, dtype=np.float32)
    features, lengths = np.array(golden.features, dtype=np.float32), np.array(golden.lengths, dtype=np.int64)
    try:
        found = await backend.infer(features, lengths, Deadline.after(PROBE_TIMEOUT_S))
    except DeadlineExceeded as error:
        raise ModelUnavailable(f"the model did not answer its probe within {PROBE_TIMEOUT_S:.0f} s") from error
    difference = float(np.abs(found - expected).max()) if found.shape == expected.shape else np.inf
    if not difference <= PROBE_TOLERANCE:
        raise WrongModel(
            f"the model's answer to the probe of version {manifest.version} is off by {difference:.2g}: "
            "the backend serves another model under this version"
        )


async def infer_in_chunks(
    run: RunChunk, features: NDArray[np.float32], lengths: NDArray[np.int64], deadline: Deadline, parallel: int
) -> NDArray[np.float32]:
    """Do `Backend.infer` with ``run``, at most CHUNK sequences per call and ``parallel`` calls at the same time.

    Checks what goes in and what comes out: a bad request would fail other people's batch on a shared server, and a NaN
    would be below every threshold, that is "normal".

    Raises:
        ModelUnavailable: as ``run`` does, or the request or the answer is not what the model contract says.
        DeadlineExceeded: it was not done in time.
    """
    _check_request(features, lengths)
    if deadline.passed:
        raise DeadlineExceeded("the deadline passed before the model was asked")
    async with deadline.enforced("the model did not answer before the deadline"):
        if len(features) <= CHUNK:
            probabilities = await run(features, lengths, deadline)
        else:
            turn = asyncio.Semaphore(parallel)

            async def chunk(start: int) -> NDArray[np.float32]:
                async with turn:
                    return await run(features[start : start + CHUNK], lengths[start : start + CHUNK], deadline)

            probabilities = np.concatenate(await together(chunk(start) for start in range(0, len(features), CHUNK)))
    _check_answer(probabilities, features)
    return probabilities


def _check_request(features: NDArray[np.float32], lengths: NDArray[np.int64]) -> None:
    if features.ndim != 3 or features.dtype != np.float32 or 0 in features.shape:
        raise ModelUnavailable(f"features must be float32 [B, T, F], got {features.dtype} {list(features.shape)}")
    if lengths.shape != (len(features), 1) or lengths.dtype != np.int64:
        raise ModelUnavailable(f"lengths must be int64 [{len(features)}, 1], got {lengths.dtype} {list(lengths.shape)}")
    if lengths.min() < 1 or lengths.max() > features.shape[1]:
        raise ModelUnavailable(f"lengths must be 1..{features.shape[1]}, got {lengths.min()}..{lengths.max()}")
    if not np.isfinite(features).all():  # onnxruntime would clip a NaN to some number and answer as if nothing were
        raise ModelUnavailable("features must be finite, those of the padding too")


def _check_answer(probabilities: NDArray[np.float32], features: NDArray[np.float32]) -> None:
    expected = (*features.shape[:2], len(KINDS))
    if probabilities.shape != expected:
        raise ModelUnavailable(f"the model answered with shape {list(probabilities.shape)} instead of {list(expected)}")
    if probabilities.min() >= 0.0 and probabilities.max() <= 1.0:  # not so with a NaN
        return
    if not np.isfinite(probabilities).all():
        raise ModelUnavailable("the model answered with numbers that are not finite")
    raise ModelUnavailable("the model answered with numbers outside of 0 to 1, which are no probabilities")
