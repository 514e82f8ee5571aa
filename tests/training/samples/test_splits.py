"""The split of the EPCs: shares, stretches of time, turns."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from training.samples.labelled_data import Material
from training.samples.splits import SPLITS, first_scans, split_epcs


def test_each_part_has_its_share_of_the_items(labelled: Material) -> None:
    split = split_epcs(labelled.events)
    shares = [(split == number).mean() for number in range(len(SPLITS))]
    assert shares == pytest.approx([0.70, 0.135, 0.135], abs=0.01)


def test_parts_are_stretches_of_time_with_buffers_between(labelled: Material) -> None:
    in_time = split_epcs(labelled.events)[np.argsort(first_scans(labelled.events), kind="stable")]
    runs = in_time[np.flatnonzero(np.diff(in_time, prepend=-2))].tolist()
    period = [0, -1, 1, -1, 2, -1]
    assert runs == period * 4


def test_a_turned_split_tests_other_items(labelled: Material) -> None:
    tested = [split_epcs(labelled.events, turn=k / 5) == SPLITS.index("test") for k in range(5)]
    for one, other in pairwise(tested):
        assert not (one & other).any()
    assert {int(part.sum()) for part in tested} == {int(tested[0].sum())}
    assert np.array_equal(split_epcs(labelled.events, turn=0.0), split_epcs(labelled.events))
