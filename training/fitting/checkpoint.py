"""The state of a training between two epochs, and the file that it can go on from."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.optim.lr_scheduler import OneCycleLR
from torch.optim.swa_utils import AveragedModel

from service.events.vocabulary import MODES
from training.errors import DataError
from training.fitting.start import Anchor
from training.network.loss import LabelNoise
from training.network.lstm import EpcLstm


@dataclass(slots=True)
class State:
    """All that changes from epoch to epoch. Random numbers are drawn anew from (seed, epoch), so need no keeping."""

    model: EpcLstm
    average: AveragedModel  # of its weights over the last steps: what is checked and kept
    noise: LabelNoise
    optimizer: torch.optim.Optimizer
    schedule: OneCycleLR
    scaler: torch.amp.GradScaler
    anchor: Anchor | None = None  # None: nothing holds the weights
    best: dict[str, Tensor] = field(default_factory=dict)  # weights of the best epoch
    curves: list[dict[str, float]] = field(default_factory=list)  # by epoch: its number, loss, validation AP by mode

    @property
    def averaged(self) -> EpcLstm:
        """The model with the averaged weights."""
        return cast(EpcLstm, self.average.module)

    @property
    def since_best(self) -> int:
        """Epochs since the best one."""
        scores = [score(epoch) for epoch in self.curves]
        return len(scores) - 1 - scores.index(max(scores))

    def parts(self) -> tuple[Any, ...]:
        """Return what has a state_dict."""
        return self.model, self.average, self.noise, self.optimizer, self.schedule, self.scaler


def score(epoch: dict[str, float]) -> float:
    """Return what early stopping goes by: the validation macro AP, mean of both modes (0 where it is not known)."""
    return float(np.nan_to_num([epoch[mode] for mode in MODES]).mean())


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """Where an unfinished training is kept, and what it is a training of."""

    path: Path
    origin: dict[str, Any]  # config and data, plain values: a checkpoint of another origin is refused

    def save(self, state: State) -> None:
        """Write the state, whole or not at all."""
        content = {
            "origin": self.origin,
            "parts": [part.state_dict() for part in state.parts()],
            "best": state.best,
            "curves": state.curves,
        }
        buffer = io.BytesIO()
        torch.save(content, buffer)  # into memory: of a full disk torch itself would only say "unexpected pos"
        scratch = self.path.with_suffix(".tmp")
        try:
            scratch.write_bytes(buffer.getvalue())
            scratch.replace(self.path)
        finally:
            scratch.unlink(missing_ok=True)

    def restore(self, state: State) -> None:
        """Bring ``state`` to where the file is, if there is one.

        Raises:
            DataError: it is of another config or of other data.
        """
        if not self.path.exists():
            return
        content = torch.load(self.path, map_location="cpu", weights_only=True)
        differing = sorted(name for name, value in self.origin.items() if content["origin"].get(name) != value)
        if differing:
            raise DataError(
                f"{self.path} is of a training with another {', '.join(differing)}: give the same again, "
                "or start anew without --resume"
            )
        for part, values in zip(state.parts(), content["parts"], strict=True):
            if values:  # the scaler has no state on a CPU
                part.load_state_dict(values)
        state.best, state.curves = content["best"], content["curves"]
