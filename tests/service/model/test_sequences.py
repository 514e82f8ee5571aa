"""Journeys cut to windows and padded, against plain loops."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from service.events.journeys import Journeys
from service.model.sequences import Windows, pad, prefix_windows, whole_windows, with_little_padding
from tests.support.worlds import START, Scan, code, to_events

_LENGTHS = st.lists(st.integers(1, 200), min_size=1, max_size=5)


def _journeys(lengths: list[int]) -> Journeys:
    scans = [
        Scan(code(item), "WMS_Inbound", 5, START + timedelta(minutes=at))
        for item, length in enumerate(lengths)
        for at in range(length)
    ]
    return Journeys.of(to_events(scans))


def _assert_windows_fit(windows: Windows, journeys: Journeys, limit: int) -> None:
    """Every event has one answer inside its window, and every window lies in one journey."""
    events = np.arange(len(journeys.order))
    assert windows.length.min() >= 1
    assert windows.length.max() <= limit
    assert np.array_equal(windows.start[windows.window_of] + windows.offset_of, events)
    assert (windows.offset_of >= 0).all()
    assert (windows.offset_of < windows.length[windows.window_of]).all()
    item = journeys.events.epc
    assert np.array_equal(item[windows.start], item[windows.start + windows.length - 1])


@settings(max_examples=150, deadline=None)
@given(lengths=_LENGTHS, limit=st.integers(1, 40))
@example(lengths=[200, 1, 32, 33], limit=32)
def test_whole_windows_answer_every_event_near_their_middle(lengths: list[int], limit: int) -> None:
    journeys = _journeys(lengths)
    windows = whole_windows(journeys, limit)
    _assert_windows_fit(windows, journeys, limit)
    position, length = journeys.position, journeys.spread(journeys.length)
    assert (windows.length[windows.window_of] == np.minimum(length, limit)).all()
    # Context on both sides: a quarter of the window, or all that the journey has.
    context = np.minimum(windows.offset_of, windows.length[windows.window_of] - 1 - windows.offset_of)
    available = np.minimum(position, length - 1 - position)
    assert (context >= np.minimum(available, limit // 4 - 1)).all()
    assert len(np.unique(windows.window_of)) == len(windows.start), "every window answers for some event"


@settings(max_examples=100, deadline=None)
@given(lengths=_LENGTHS, limit=st.integers(1, 40))
def test_prefix_windows_end_with_their_event(lengths: list[int], limit: int) -> None:
    journeys = _journeys(lengths)
    windows = prefix_windows(journeys, limit)
    _assert_windows_fit(windows, journeys, limit)
    assert np.array_equal(windows.start + windows.length - 1, np.arange(len(journeys.order)))
    assert np.array_equal(windows.length, np.minimum(journeys.position + 1, limit))


@settings(max_examples=100, deadline=None)
@given(lengths=_LENGTHS, limit=st.integers(1, 40), data=st.data())
def test_joined_windows_begin_as_those_of_each_event(lengths: list[int], limit: int, data: st.DataObject) -> None:
    journeys = _journeys(lengths)
    rows = np.array(data.draw(st.lists(st.integers(0, sum(lengths) - 1), min_size=1, unique=True)))
    alone = prefix_windows(journeys, limit).answering(rows)
    joined = alone.joined()
    assert np.array_equal(joined.start[joined.window_of], alone.start[alone.window_of])
    assert np.array_equal(joined.offset_of, alone.offset_of)
    assert len(np.unique(joined.start)) == len(joined.start)
    assert set(joined.length.tolist()) <= set(alone.length.tolist())
    assert (joined.offset_of < joined.length[joined.window_of]).all()


@pytest.mark.parametrize("padded_length", [6, 8, 32])
def test_padding_equals_a_loop(padded_length: int) -> None:
    features = np.arange(1, 61, dtype=np.float32).reshape(20, 3)
    start, length = np.array([0, 4, 14, 19]), np.array([4, 6, 6, 1])
    padded = pad(features, start, length, padded_length)
    expected = np.zeros((4, padded_length, 3), dtype=np.float32)
    for row in range(4):
        for step in range(length[row]):
            expected[row, step] = features[start[row] + step]
    assert np.array_equal(padded, expected)


@settings(max_examples=150, deadline=None)
@given(lengths=st.lists(st.integers(1, 32), min_size=1, max_size=300), most=st.sampled_from([1, 7, 64]))
def test_parts_have_every_sequence_once_in_order(lengths: list[int], most: int) -> None:
    parts = list(with_little_padding(np.array(lengths)[:, None], most))
    assert [at for part in parts for at in range(len(lengths))[part]] == list(range(len(lengths)))
    assert all(1 <= part.stop - part.start <= most for part in parts)


def test_parts_end_where_padding_would_cost_more_than_a_call() -> None:
    assert list(with_little_padding(np.array([[2]] * 40 + [[10]] * 60), 64)) == [slice(0, 40), slice(40, 100)]
    lengths = np.sort(np.random.default_rng(0).integers(1, 11, 100))[:, None]
    parts = list(with_little_padding(lengths, 64))
    padded = sum(len(lengths[part]) * int(lengths[part].max()) for part in parts)
    assert padded + 40 * len(parts) < 64 * int(lengths[63, 0]) + 36 * int(lengths[-1, 0]) + 40 * 2


def test_what_would_save_less_than_a_call_is_padded() -> None:
    assert list(with_little_padding(np.array([[1], [1], [20]]), 64)) == [slice(0, 3)]
    assert list(with_little_padding(np.array([[20], [1], [1]]), 64)) == [slice(0, 3)]
