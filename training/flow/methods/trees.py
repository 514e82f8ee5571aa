"""Gradient boosted trees on the same rows as the network."""

from __future__ import annotations

import lightgbm
import numpy as np
from numpy.typing import NDArray

from service.flow.forecast.windows import FEATURES
from service.flow.series import MEASURES
from training.flow.config import FlowConfig
from training.flow.methods.samples import FlowSamples

_PAST = 6
"""The first features differ from day to day of a window, the others are the same on each."""

_SETTINGS = {
    "objective": "l1",
    "num_leaves": 15,
    "learning_rate": 0.06,
    "min_data_in_leaf": 60,
    "feature_fraction": 0.7,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}

_Rows = NDArray[np.float32]


def columns_of(length: int) -> NDArray[np.int64]:
    """Return which of the L F numbers of a row trees see: the days of the past, and the day asked about once."""
    days = np.arange(length)[:, None] * len(FEATURES) + np.arange(4)
    asked = (length - 1) * len(FEATURES) + np.arange(_PAST, len(FEATURES))
    return np.concatenate([days.reshape(-1), asked])


def fit_trees(samples: FlowSamples, config: FlowConfig) -> list[lightgbm.Booster]:
    """Return the trees of each measure."""
    rows = seen(samples.rows)
    found = []
    for at in range(len(MEASURES)):
        known = ~np.isnan(samples.target[:, at])
        data = lightgbm.Dataset(rows[known], samples.target[known, at])
        found.append(lightgbm.train({**_SETTINGS, "seed": config.seed}, data, config.trees))
    return found


def seen(rows: _Rows) -> _Rows:
    """Return the columns [B, C] of rows [B, L, F] that trees see."""
    return rows.reshape(len(rows), -1)[:, columns_of(rows.shape[1])]


def trees_answer(trees: list[lightgbm.Booster], rows: _Rows) -> _Rows:
    """Return the measures [B, 3] of rows [B, L, F]."""
    columns = seen(rows)
    return np.stack([np.asarray(one.predict(columns, num_threads=1)) for one in trees], axis=1).astype(np.float32)
