"""How far a training goes from the weights that it starts from: the fewer labels, the less."""

from __future__ import annotations

from dataclasses import dataclass

from training.fitting.config import TrainConfig

LEAST_LABELLED = 100
"""Labelled events; fewer say less than what a network adopted without labels knows."""

_MANY = 50_000
"""Labelled events from which on nothing holds the weights where they were."""

# A few labels, which may be wrong where the network is not sure: there they are drawn no oftener than elsewhere.
_NEAR = {"learning_rate": 1e-3, "weight_decay": 0.0, "anchor": 0.01, "undecided_weight": 1.0}
_FREE = {"learning_rate": 1.5e-3, "undecided_weight": 1.0}


@dataclass(frozen=True, slots=True)
class TuningPlan:
    """What is set for a number of labelled events."""

    way: str  # in words, for the report
    share: float  # of the sequences that are drawn, those with a label; the others have what the start says of them
    settings: dict[str, float]  # of TrainConfig
    epochs: int  # at most
    windows_per_epoch: int  # at most

    def config(self, base: TrainConfig) -> TrainConfig:
        """Return ``base`` with the settings of the plan; no longer than ``base`` says."""
        most = {name: min(getattr(base, name), getattr(self, name)) for name in ("epochs", "windows_per_epoch")}
        return TrainConfig.model_validate(base.model_dump() | self.settings | most)


def plan_for(labelled: int, events: int) -> TuningPlan:
    """Return the plan for ``labelled`` of ``events`` events."""
    if labelled >= min(_MANY, 0.95 * events):
        return TuningPlan("all weights trained, held by nothing", 0.5, _FREE, 14, 80_000)
    return TuningPlan("all weights trained, held near those of the start (L2-SP)", 0.5, _NEAR, 4, 10_000)
