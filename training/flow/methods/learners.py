"""The methods of a backtest: those that need no training, and those that learn from what lies before a day."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import lightgbm
import numpy as np

from service.flow.forecast.baselines import BASELINES
from service.flow.forecast.past import MOST_DAYS, FlowMethod
from service.flow.forecast.smoothing import Ets, Theta
from service.flow.forecast.stock import StockFlow
from service.flow.forecast.windows import LSTM, TREES, Learned
from service.progress import Progress
from training.flow.config import FlowConfig
from training.flow.history import Rolling
from training.flow.methods.network import FlowLstm, answers, fit_lstm
from training.flow.methods.samples import draw_samples
from training.flow.methods.trees import fit_trees, trees_answer

_LEAST_PAST = 28
_MOST_ORIGINS = 60
_MOST_ROWS = 40_000


@dataclass(frozen=True, slots=True)
class Learners:
    """What was learned from one stretch of a history."""

    lstm: FlowLstm
    trees: list[lightgbm.Booster]
    length: int
    curves: list[dict[str, float]] = field(default_factory=list)

    def methods(self) -> list[FlowMethod]:
        """Return them as methods."""
        return [
            Learned(LSTM, self.length, partial(answers, self.lstm)),
            Learned(TREES, self.length, partial(trees_answer, self.trees)),
        ]


def plain_methods(has_items: bool) -> list[FlowMethod]:
    """Return the methods that need no training."""
    return [*BASELINES, Ets(), Theta(), *([StockFlow()] if has_items else [])]


def learn(rolling: Rolling, last_day: int, days: int, config: FlowConfig, progress: Progress) -> Learners:
    """Return what learns from days up to ``last_day``, for forecasts of ``days``."""
    first = rolling.history.series.first_day + max(_LEAST_PAST, config.sequence_length) - 1
    step = max(1, -(-(last_day - first) // _MOST_ORIGINS))
    origins = np.arange(first, last_day, step)
    generator = np.random.default_rng(config.seed)
    length = config.sequence_length
    samples = draw_samples(
        rolling.past_at, rolling.whole, origins, last_day, min(days, MOST_DAYS), length, generator, _MOST_ROWS
    )
    trees = fit_trees(samples, config)

    def told(epoch: int, loss: float) -> None:
        progress(f"LSTM, epoch {epoch}: validation loss {loss:.3f}", epoch / config.epochs)

    lstm, curves = fit_lstm(samples, config, told)
    return Learners(lstm, trees, length, curves)
