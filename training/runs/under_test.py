"""A network to be measured: that of a run folder, or a release, of which the run need not be at hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from service.events.vocabulary import OperatingPoint
from service.features.reference import Reference
from service.features.table import feature_spec_hash
from service.model.manifest import NormalEvents, at_point
from service.model.repository import load, versions
from training.runs.folder import Run
from training.runs.weights import TrainedWeights, weights_of_model, weights_of_run


@dataclass(frozen=True, slots=True, eq=False)
class UnderTest:
    """What judges, and what it was released with."""

    weights: TrainedWeights
    reference: Reference
    baseline: NormalEvents | None  # None: of an earlier release

    @classmethod
    def of(cls, folder: Path) -> UnderTest:
        """Return the network of a run folder, or the newest version of a model repository.

        Raises:
            DataError: it is neither, or a run that cannot be used.
            ModelRepositoryError: the version is damaged, or of other features.
            ModelUnavailable: it cannot be loaded.
        """
        if not versions(folder):
            run = Run.load(folder)
            return cls(weights_of_run(run, str(folder)), run.reference, run.record.baseline)
        model = load(folder, feature_spec_hash=feature_spec_hash())
        reference = Reference.from_json(model.manifest.reference)
        return cls(weights_of_model(model), reference, model.manifest.baseline)

    def balanced(self, mode: str) -> list[float]:
        """Return the thresholds [5] of a mode at the balanced point."""
        return at_point(OperatingPoint.BALANCED, self.weights.points, self.weights.thresholds).of(mode)
