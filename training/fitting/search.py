"""Search of the training settings: validation AP by tree-structured Parzen estimator, hopeless trials cut short."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial

from service.progress import Progress
from training.fitting.calibrated import fit_model
from training.fitting.checkpoint import score
from training.fitting.config import TrainConfig
from training.fitting.loop import Curves
from training.samples.labelled_data import Material

CONFIG_FILE, TRIALS_FILE = "config.json", "trials.csv"
_UNJUDGED_TRIALS, _UNJUDGED_EPOCHS = 4, 2  # before which no trial is cut short


@dataclass(frozen=True, slots=True)
class Budget:
    """The search ends with the first of both."""

    trials: int
    seconds: float | None = None  # checked between trials


def tune(labelled: Material, out: Path, base: TrainConfig, budget: Budget, progress: Progress) -> optuna.Study:
    """Search settings on the training and validation parts; the first trial is ``base`` itself.

    The folder ``out`` has the best settings so far (``config.json``, which `train --config` takes) and all trials
    (``trials.csv``), both brought up to date after each trial. What is not searched stays as in ``base``.
    """
    out.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=base.seed),
        pruner=optuna.pruners.MedianPruner(_UNJUDGED_TRIALS, _UNJUDGED_EPOCHS),
    )
    study.enqueue_trial({name: value for name, value in base.model_dump().items() if name in SEARCHED})

    def objective(trial: Trial) -> float:
        config = suggested(trial, base)

        def after_epoch(curves: Curves) -> None:
            trial.report(score(curves[-1]), len(curves))
            done = (trial.number + len(curves) / config.epochs) / budget.trials
            progress(f"trial {trial.number + 1}/{budget.trials}, epoch {len(curves)}: {score(curves[-1]):.4f}", done)
            if trial.should_prune():
                raise optuna.TrialPruned

        return max(score(epoch) for epoch in fit_model(labelled, config, after_epoch).curves)

    def keep(study: optuna.Study, _trial: FrozenTrial) -> None:
        study.trials_dataframe(("number", "value", "state", "duration", "params")).to_csv(
            out / TRIALS_FILE, index=False
        )
        (out / CONFIG_FILE).write_text(best(study, base).model_dump_json(indent=1) + "\n", encoding="utf-8")

    study.optimize(objective, budget.trials, budget.seconds, callbacks=[keep])
    return study


def best(study: optuna.Study, base: TrainConfig) -> TrainConfig:
    """Return the settings of the best trial."""
    return TrainConfig.model_validate(base.model_dump() | study.best_params)


SEARCHED: dict[str, tuple[Any, ...]] = {
    "hidden": (16, 128, "log"),
    "dropout": (0.0, 0.4, ""),
    "learning_rate": (1e-3, 1e-2, "log"),
    "weight_decay": (1e-3, 0.3, "log"),
    "focal_gamma": (0.0, 2.0, ""),
    "anomalous_weight": (1.0, 6.0, "log"),
    "time_noise": (0.0, 0.1, ""),
}
"""Setting -> lowest and highest value, and whether it is drawn by its logarithm."""


def suggested(trial: Trial, base: TrainConfig) -> TrainConfig:
    """Return ``base`` with the settings that the trial tries."""
    tried: dict[str, float] = {}
    for name, (low, high, scale) in SEARCHED.items():
        suggest = trial.suggest_int if isinstance(low, int) else trial.suggest_float
        tried[name] = suggest(name, low, high, log=scale == "log")
    return TrainConfig.model_validate(base.model_dump() | tried)
