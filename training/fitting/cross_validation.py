"""Cross-validation: the same training on other splits of the EPCs, to see how much of a number is chance."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from service.events.vocabulary import MODES
from service.progress import Progress
from training.fitting.calibrated import Fitted, fit_model, telling
from training.fitting.config import TrainConfig
from training.metrics.per_kind import per_kind
from training.metrics.ranking import MACRO
from training.network.lstm import CalibratedModel
from training.network.predict import predict
from training.samples.labelled_data import Material
from training.samples.samples import Samples
from training.samples.splits import split_epcs

MAX_FOLDS = 7
"""A fold tests 13.5 % of the EPCs: seven fit beside each other."""

FOLDS_FILE = "folds.csv"

FoldsSummary = dict[str, dict[str, float]]
"""Column of FOLDS_FILE -> mean and standard deviation."""


def cross_validate(
    labelled: Material, first: Fitted, config: TrainConfig, folds: int, progress: Progress
) -> pd.DataFrame:
    """Return validation and test macro AP by fold and mode; ``first`` is the model of the first fold, already made.

    Each fold has training, validation and test parts of the usual sizes, stretches of time as in `split_epcs`, turned
    on by 1 / ``folds`` of each period: the test parts have no EPC in common.
    """
    rows = []
    for fold in range(folds):
        turned = replace(labelled, split=split_epcs(labelled.events, turn=fold / folds))
        tell = telling(progress, config.epochs, fold / folds, (fold + 1) / folds, f"fold {fold + 1}/{folds}, ")
        fitted = first if fold == 0 else fit_model(turned, config, tell)
        parts = {"validation": fitted.check, "test": turned.samples("test", turned.reference("train"))}
        rows.append(
            {
                "fold": fold + 1,
                **{
                    f"{name}_{mode}_ap": _ap(fitted.model, part)
                    for name, both in parts.items()
                    for mode, part in zip(MODES, both, strict=True)
                },
            }
        )
    return pd.DataFrame(rows).set_index("fold")


def _ap(model: CalibratedModel, part: Samples) -> float:
    return per_kind(part.labels, predict(model, part))[MACRO]["ap"]


def summary(table: pd.DataFrame) -> FoldsSummary:
    """Return mean and standard deviation (of the folds, not of their mean) of each column."""
    return {str(name): {"mean": float(table[name].mean()), "sd": float(table[name].std())} for name in table}
