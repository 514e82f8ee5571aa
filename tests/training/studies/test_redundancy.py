"""Redundancy: what features say twice, and what each is worth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from service.features import table as features
from tests.support.trained import silent
from training.fitting.calibrated import Fitted
from training.network.predict import predict
from training.studies import redundancy


def test_variance_inflation_is_one_over_one_minus_r_squared() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4_000, 4)).astype(np.float32)
    x[:, 2] = x[:, 0] + x[:, 1] + x[:, 2]
    x[:, 3] = 5
    factors = redundancy.variance_inflation(redundancy.correlation_matrix(x))
    others = np.column_stack([x[:, :2], np.ones(len(x))])
    residual = x[:, 2] - others @ np.linalg.lstsq(others, x[:, 2], rcond=None)[0]
    assert factors[2] == pytest.approx(x[:, 2].var() / residual.var(), rel=0.01)
    assert factors[3] == pytest.approx(1, rel=0.01)
    twins = redundancy.correlation_matrix(np.column_stack([x[:, 0], -3 * x[:, 0], x[:, 1]]))
    assert redundancy.variance_inflation(twins)[0] > 1e5
    cluster = redundancy.clusters(twins)
    assert cluster[0] == cluster[1] != cluster[2]


def test_importance_is_what_shuffling_costs(fitted: Fitted) -> None:
    part = redundancy.first_windows(fitted.check[0], 10_000)
    np.testing.assert_array_equal(predict(fitted.model, part), predict(fitted.model, fitted.check[0]))
    worth = redundancy.importance(fitted, part, np.random.default_rng(0), silent)
    assert worth[features.INDEX["causal"]] == 0
    assert worth.max() > 0.02
    blind = replace(fitted, model=_blind_to(fitted, int(worth.argmax())))
    assert redundancy.importance(blind, part, np.random.default_rng(0), silent)[worth.argmax()] == pytest.approx(
        0, abs=1e-6
    )


def _blind_to(fitted: Fitted, column: int):  # noqa: ANN202 - the model of the fitted one
    from copy import deepcopy  # noqa: PLC0415

    model = deepcopy(fitted.model)
    model.model.encoding.scale[column] = 0.0
    return model


def test_a_sample_of_windows_is_answered_as_in_the_whole(fitted: Fitted) -> None:
    whole, some = fitted.check[1], redundancy.first_windows(fitted.check[1], 300)
    kept = whole.windows.window_of < 300
    np.testing.assert_allclose(predict(fitted.model, some), predict(fitted.model, whole)[kept], atol=1e-6)
    np.testing.assert_array_equal(some.labels, whole.labels[kept])
