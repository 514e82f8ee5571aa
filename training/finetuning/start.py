"""A trained network as the start of another training."""

from __future__ import annotations

from dataclasses import dataclass

from service.features.reference import Reference
from training.network.lstm import CalibratedModel
from training.runs.folder import Run
from training.runs.weights import TrainedWeights, weights_of_run


@dataclass(frozen=True, slots=True, eq=False)
class StartNetwork:
    """A trained network: as it is served, and as torch, whose weights can be trained on."""

    weights: TrainedWeights
    model: CalibratedModel
    reference: Reference  # the tables that it has been served with

    @classmethod
    def of_run(cls, run: Run, title: str) -> StartNetwork:
        """Return the network of a run."""
        return cls(weights_of_run(run, title), run.model, run.reference)
