"""How wide intervals are: by kind of series, and wider where later errors ask for it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from service.flow.forecast.intervals import LOWER, PROBABILITIES, UPPER
from training.flow.calibration import ScaledErrors, calibrated, widths

DAYS = 14


def errors(kind: int, scale: np.ndarray, series: int = 20, seed: int = 1) -> ScaledErrors:
    """Return errors of a normal distribution, as wide as ``scale`` [O] says."""
    found = np.random.default_rng(seed).normal(size=(len(scale), series, DAYS)) * scale[:, None, None]
    return ScaledErrors(found.astype(np.float32), np.full((len(scale), series), kind), None, is_stock=True)


def joined(*parts: ScaledErrors) -> ScaledErrors:
    return ScaledErrors(
        np.concatenate([one.errors for one in parts], axis=1),
        np.concatenate([one.kind for one in parts], axis=1),
        None,
        is_stock=True,
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


def test_errors_that_grow_make_intervals_wider_by_all_of_it() -> None:
    one = errors(1, np.r_[np.ones(15), 1.8 * np.ones(15)])
    wider = calibrated(one) / np.where(widths(one) == 0, 1, widths(one))
    np.testing.assert_allclose(wider[1, :4, [LOWER, UPPER]], 1.8, atol=0.25)


def test_errors_that_shrink_make_intervals_narrower_but_none_as_narrow_as_the_last_errors() -> None:
    one = errors(1, np.r_[2 * np.ones(15), np.ones(15)], series=60)
    both = [LOWER, UPPER]
    reach, plain = (abs(table[1, :4, both]) for table in (calibrated(one), widths(one)))
    np.testing.assert_allclose(reach / plain, np.sqrt(0.5), atol=0.08)
    assert (reach[:, 1:] > 1.645).all()  # of more than one day: few errors are of one


def test_what_asks_for_more_than_twice_the_width_was_no_error_of_before() -> None:
    wild = errors(1, np.repeat([1.0, 50.0], 15))
    both = [LOWER, UPPER]
    np.testing.assert_allclose(calibrated(wild)[..., both], widths(wild)[..., both] * 2)


def test_each_tail_is_made_wider_by_itself() -> None:
    lopsided = errors(1, np.ones(30))
    later = lopsided.errors[15:]
    later[later < 0] *= 1.8
    table, plain = calibrated(lopsided), widths(lopsided)
    np.testing.assert_allclose(table[1, :4, LOWER] / plain[1, :4, LOWER], 1.8, atol=0.25)
    np.testing.assert_allclose(table[1, :4, UPPER] / plain[1, :4, UPPER], 1.0, atol=0.1)
    assert (np.diff(table, axis=2) >= 0).all()  # quantiles still


def test_errors_of_a_stock_are_as_many_as_there_are_series_and_stretches_of_time() -> None:
    of_each = errors(1, np.ones(30), series=4)
    daily = replace(of_each, origin=np.arange(30))
    table, plain = widths(daily), widths(of_each)
    np.testing.assert_array_equal(table[1, 0], plain[1, 0])  # a day ahead each is of its own
    middle = np.abs(PROBABILITIES - 0.5) < 0.2
    np.testing.assert_allclose(table[1, :4][:, middle], plain[1, :4][:, middle], atol=0.3)
    assert (np.diff(table, axis=2) >= 0).all()
    wider = (table[1, :4, UPPER] - table[1, :4, LOWER]) / (plain[1, :4, UPPER] - plain[1, :4, LOWER])
    assert (wider[1:] > 1).all()
    assert wider[3] > 1.15  # 4 series and 1 + 29 / (.54 x 14) stretches: 19 errors, whose 95 % is the last
    np.testing.assert_array_equal(table[1, 3, UPPER], of_each.errors[:, :, 7:].max())
    weekly = replace(of_each, origin=7 * np.arange(30))
    np.testing.assert_array_less(table[1, 3, LOWER], widths(weekly)[1, 3, LOWER])


@pytest.mark.parametrize(("series", "least", "most", "least_before"), [(1, 0.84, 0.92, 0.65), (20, 0.89, 0.94, 0.87)])
def test_intervals_of_a_stock_that_wanders_hold_their_share_of_what_is_to_come(
    series: int, least: float, most: float, least_before: float
) -> None:
    generator = np.random.default_rng(3)
    held: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(60):
        stock = generator.normal(size=(series, 400)).cumsum(axis=1)
        ahead = np.stack([stock[:, day + 1 : day + 61] - stock[:, day, None] for day in range(0, 300, 5)])
        scaled = (ahead / np.sqrt(np.arange(1, 61))).astype(np.float32)  # [O, S, H]
        known, later = scaled[:24], scaled[36:, :, 30:]
        kind = np.ones(known.shape[:2], np.intp)
        for tied, shares in held.items():
            table = widths(ScaledErrors(known, kind, 5 * np.arange(24) if tied else None, is_stock=True))[1, -1]
            shares.append(float(((later >= table[LOWER]) & (later <= table[UPPER])).mean()))
    assert least < np.mean(held[True]) < most
    assert least_before < np.mean(held[False]) < np.mean(held[True]) - 0.015  # as if each told of a time of its own


def test_errors_of_a_cycle_time_are_alike_for_as_long_as_they_show() -> None:
    origin = 7 * np.arange(30)
    apart = replace(errors(1, np.ones(30), series=4), origin=origin, is_stock=False)
    of_stock = widths(replace(apart, is_stock=True))[1, 3]
    assert of_stock[LOWER] < widths(apart)[1, 3, LOWER] < widths(apart)[1, 3, UPPER] <= of_stock[UPPER]
    by_month = np.repeat(np.random.default_rng(5).normal(size=(6, 4, 1)), 5, axis=0) * np.ones((30, 4, DAYS))
    alike = ScaledErrors(by_month.astype(np.float32), np.ones((30, 4), int), origin, is_stock=False)
    plain = widths(replace(alike, origin=None))
    assert (widths(alike)[1, 3, UPPER] - plain[1, 3, UPPER]) >= 0
    np.testing.assert_array_equal(widths(alike)[1, 3, UPPER], by_month.max().astype(np.float32))


def test_few_errors_say_nothing_of_what_is_to_come() -> None:
    few = errors(1, np.ones(4), series=1)
    np.testing.assert_array_equal(calibrated(few), widths(few))
    with pytest.raises(ValueError, match="there are no errors"):
        widths(ScaledErrors(np.full((3, 1, DAYS), np.nan, np.float32), np.zeros((3, 1), int), None, is_stock=True))
