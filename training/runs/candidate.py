"""A network to be measured: that of a run folder, or a release, of which the run need not be at hand."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.events.vocabulary import KINDS, OperatingPoint
from service.features.reference import Reference
from service.features.table import feature_spec_hash
from service.model.backend import Backend
from service.model.manifest import NormalEvents, Points, Thresholds
from service.model.onnx_backend import OnnxBackend
from service.model.repository import load, versions
from service.model.sequences import cut_to_batches
from service.runtime.deadline import NEVER
from training.network.predict import predict
from training.runs.folder import Run
from training.samples.samples import Samples, Score


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """What judges, and what it was released with."""

    reference: Reference
    limit: int  # events of a window at most
    thresholds: Thresholds
    operating_points: Points | None
    baseline: NormalEvents | None  # None: of an earlier release
    scores: Score

    @classmethod
    def of(cls, folder: Path) -> Candidate:
        """Return the network of a run folder, or the newest version of a model repository.

        Raises:
            DataError: it is neither, or a run that cannot be used.
            ModelRepositoryError: the version is damaged, or of other features.
            ModelUnavailable: it cannot be loaded.
        """
        return cls.released(folder) if versions(folder) else cls.trained(Run.load(folder))

    @classmethod
    def trained(cls, run: Run) -> Candidate:
        """Return the network of a run."""
        record, scores = run.record, partial(predict, run.model)
        return cls(run.reference, run.lengths[-1], record.thresholds, record.operating_points, record.baseline, scores)

    @classmethod
    def released(cls, repository: Path) -> Candidate:
        """Return the newest version in a model repository; raises as `of`."""
        model = load(repository, feature_spec_hash=feature_spec_hash())
        manifest, scores = model.manifest, partial(_asked, OnnxBackend(model.read_onnx()))
        reference = Reference.from_json(manifest.reference)
        points = manifest.operating_points
        return cls(reference, manifest.lengths[-1], manifest.thresholds, points, manifest.baseline, scores)

    def balanced(self, mode: str) -> list[float]:
        """Return the thresholds [5] of a mode at the balanced point."""
        return (self.operating_points or {}).get(OperatingPoint.BALANCED, self.thresholds).of(mode)


def _asked(backend: Backend, part: Samples) -> NDArray[np.float32]:
    """Return what a released model says of each row [N, 5] of ``part``."""
    windows = part.windows
    answers = np.zeros((len(windows.start), int(windows.length.max()), len(KINDS)), dtype=np.float32)

    async def ask() -> None:
        for batch in cut_to_batches(part.features, windows, None):
            found = await backend.infer(batch.features, batch.lengths, NEVER)
            answers[batch.rows, : found.shape[1]] = found

    asyncio.run(ask())
    return answers[windows.window_of, windows.offset_of]
