"""How wide intervals are: by kind of series, and wider where later errors ask for it."""

from __future__ import annotations

import numpy as np
import pytest

from service.flow.forecast.intervals import LOWER, UPPER
from training.flow.calibration import ScaledErrors, calibrated, widths

DAYS = 14


def errors(kind: int, scale: np.ndarray, series: int = 20, seed: int = 1) -> ScaledErrors:
    """Return errors of a normal distribution, as wide as ``scale`` [O] says."""
    found = np.random.default_rng(seed).normal(size=(len(scale), series, DAYS)) * scale[:, None, None]
    return ScaledErrors(found.astype(np.float32), np.full((len(scale), series), kind))


def joined(*parts: ScaledErrors) -> ScaledErrors:
    return ScaledErrors(
        np.concatenate([one.errors for one in parts], axis=1), np.concatenate([one.kind for one in parts], axis=1)
    )


def test_what_stands_still_makes_nothing_look_sure() -> None:
    still, flowing = errors(0, np.zeros(30)), errors(1, np.ones(30), seed=2)
    table = widths(joined(still, flowing))
    np.testing.assert_array_equal(table[0], 0)
    np.testing.assert_allclose(table[1, :4, UPPER], 1.645, atol=0.25)
    np.testing.assert_allclose(table[1, :4, LOWER], -1.645, atol=0.25)


def test_a_kind_of_which_nothing_is_known_is_as_all_are() -> None:
    table = widths(errors(1, np.ones(30)))
    np.testing.assert_array_equal(table[0], table[1])


def test_errors_that_grow_make_intervals_wider_and_those_that_shrink_make_none_narrower() -> None:
    growing = np.r_[np.ones(15), 2 * np.ones(15)]
    one = errors(1, growing)
    wider = calibrated(one) / np.where(widths(one) == 0, 1, widths(one))
    np.testing.assert_allclose(wider[1, :4, UPPER], 2.0, atol=0.25)
    np.testing.assert_allclose(wider[1, :4, LOWER], 2.0, atol=0.25)
    shrinking = errors(1, growing[::-1])
    np.testing.assert_array_equal(calibrated(shrinking), widths(shrinking))


def test_each_tail_is_made_wider_by_itself() -> None:
    lopsided = errors(1, np.ones(30))
    later = lopsided.errors[15:]
    later[later < 0] *= 1.8
    table, plain = calibrated(lopsided), widths(lopsided)
    np.testing.assert_allclose(table[1, :4, LOWER] / plain[1, :4, LOWER], 1.8, atol=0.25)
    np.testing.assert_allclose(table[1, :4, UPPER] / plain[1, :4, UPPER], 1.0, atol=0.1)
    assert (np.diff(table, axis=2) >= 0).all()  # quantiles still


def test_few_errors_say_nothing_of_what_is_to_come() -> None:
    few = errors(1, np.ones(4), series=1)
    np.testing.assert_array_equal(calibrated(few), widths(few))
    with pytest.raises(ValueError, match="there are no errors"):
        widths(ScaledErrors(np.full((3, 1, DAYS), np.nan, np.float32), np.zeros((3, 1), int)))
