"""Counting classes by a classifier that mixes them up."""

from __future__ import annotations

import numpy as np
import pytest

from training.adoption.mixture import mixture

SAYS = np.array([[0.7, 0.3, 0.0], [0.4, 0.6, 0.0], [0.0, 0.1, 0.9]])
"""What a classifier says of an event of each class."""


def test_classes_that_are_taken_for_each_other_are_counted_as_they_are() -> None:
    label, truth = np.repeat([0, 1, 2], 50), np.array([10, 70, 20])
    unknown = SAYS[np.repeat([0, 1, 2], truth)]
    assert np.bincount(unknown.argmax(axis=1)).tolist() == truth.tolist(), "so far the names do"
    blurred = unknown + np.random.default_rng(0).normal(scale=0.3, size=unknown.shape)
    assert abs(np.bincount(blurred.argmax(axis=1), minlength=3) - truth).max() > 5
    np.testing.assert_allclose(mixture(SAYS[label], label, blurred), truth, atol=12)
    np.testing.assert_allclose(mixture(SAYS[label], label, unknown), truth, atol=0.01)


def test_events_of_which_the_classifier_says_nothing_do_not_count() -> None:
    label = np.array([0, 1, 2, 2])
    known = np.vstack([SAYS, np.zeros((1, 3))])
    assert mixture(known, label, SAYS[[1, 1]]).tolist() == pytest.approx([0, 2, 0], abs=1e-6)


def test_of_no_events_none_is_of_a_class() -> None:
    assert mixture(SAYS, np.arange(3), np.empty((0, 3))).tolist() == [0, 0, 0]
