"""Groups over columns, against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from service.events.groups import Group, Key, combine

_KEYS = st.lists(st.integers(-2, 3), min_size=1, max_size=30)


@st.composite
def _groups(draw: st.DrawFn) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """Draw keys [N] and an order of time [N]."""
    keys = draw(_KEYS)
    return np.array(keys), np.array(draw(st.permutations(range(len(keys)))), dtype=np.intp)


def _members(keys: NDArray[np.int64], by_time: NDArray[np.intp], event: int) -> list[int]:
    """Return the events with the key of ``event``, itself included, in the order of time."""
    return [member for member in by_time.tolist() if keys[member] == keys[event]]


@settings(max_examples=200, deadline=None)
@given(group=_groups(), causal=st.booleans())
def test_group_statistics_equal_plain_loops(group: tuple[NDArray[np.int64], NDArray[np.intp]], causal: bool) -> None:
    keys, by_time = group
    values = np.linspace(-7.0, 7.0, len(keys))
    others = Group(Key.of(keys), by_time).others(causal=causal)
    sums = Group(Key.of(keys), by_time).sum_of_others(values, causal=causal)
    for event in range(len(keys)):
        members = _members(keys, by_time, event)
        known = members[: members.index(event)] if causal else [m for m in members if m != event]
        assert others[event] == len(known)
        assert sums[event] == pytest.approx(sum(values[known]))


@settings(max_examples=200, deadline=None)
@given(group=_groups(), step=st.integers(-3, 3))
def test_neighbours_equal_plain_loops(group: tuple[NDArray[np.int64], NDArray[np.intp]], step: int) -> None:
    keys, by_time = group
    there, exists = Group(Key.of(keys), by_time).neighbour(step)
    in_order = Group(Key.of(keys), by_time)
    place, is_there = (in_order.by_event(found[0]) for found in in_order.around(np.array([[step]])))
    assert is_there.tolist() == exists.tolist()
    assert in_order.order[place[exists]].tolist() == there[exists].tolist()
    for event in range(len(keys)):
        members = _members(keys, by_time, event)
        place = members.index(event) + step
        assert exists[event] == (0 <= place < len(members))
        assert not exists[event] or there[event] == members[place]


@settings(max_examples=200, deadline=None)
@given(group=_groups(), later=st.booleans(), data=st.data())
def test_strangers_equal_plain_loops(
    group: tuple[NDArray[np.int64], NDArray[np.intp]], later: bool, data: st.DataObject
) -> None:
    keys, by_time = group
    owner = np.array(data.draw(st.lists(st.integers(0, 2), min_size=len(keys), max_size=len(keys))))
    there, exists = Group(Key.of(keys), by_time).strangers(owner)[later]
    for event in range(len(keys)):
        members = _members(keys, by_time, event)
        place = members.index(event)
        candidates = members[place + 1 :] if later else members[:place][::-1]
        expected = next((member for member in candidates if owner[member] != owner[event]), None)
        assert exists[event] == (expected is not None)
        assert expected is None or there[event] == expected


_SPANS = st.sampled_from([1, 5, 2**15, 2**31 - 2])


@settings(max_examples=200, deadline=None)
@given(spans=st.lists(_SPANS, min_size=1, max_size=5), rows=st.integers(1, 12), data=st.data())
def test_combined_keys_are_as_distinct_as_their_parts(spans: list[int], rows: int, data: st.DataObject) -> None:
    column = [st.lists(st.integers(-1, span - 1), min_size=rows, max_size=rows) for span in spans]
    parts = [np.array(data.draw(values), dtype=np.int64) for values in column]
    key = combine(*map(Key.of, parts)).values
    combinations = list(zip(*(part.tolist() for part in parts), strict=True))
    assert len(set(zip(key.tolist(), combinations, strict=True))) == len(set(combinations)) == len(set(key.tolist()))


def test_small_integer_columns_do_not_overflow_when_combined() -> None:
    many = np.arange(-128, 128).astype(np.int8)
    assert len(np.unique(combine(*map(Key.of, (many, np.arange(256) * 8_000_000, many))).values)) == 256
