"""Groups and orders over columns, against plain loops."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.events.groups import Groups, time_order

_FIRST = st.integers(0, 2) | st.sampled_from([2**31 - 1, 2**30])
_SECOND = st.integers(-2, 2) | st.sampled_from([-(2**63), 2**63 - 1, 2**31, -(2**31), 10**12])


@settings(max_examples=300, deadline=None)
@given(pairs=st.lists(st.tuples(_FIRST, _SECOND), max_size=40), data=st.data())
def test_equal_pairs_are_one_group_numbered_as_they_appear(pairs: list[tuple[int, int]], data: st.DataObject) -> None:
    first, second = (np.array([pair[at] for pair in pairs], dtype=kind) for at, kind in ((0, np.int32), (1, np.int64)))
    groups = Groups(first, second)
    distinct = list(dict.fromkeys(pairs))
    assert groups.number.tolist() == [distinct.index(pair) for pair in pairs]
    assert groups.count == len(distinct)
    among = data.draw(st.permutations(range(len(pairs))))[: len(pairs) // 2]
    members, start = groups.members(np.array(among, dtype=np.intp))
    expected = [[at for at in among if pairs[at] == pair] for pair in distinct]
    assert [members[begin:end].tolist() for begin, end in pairwise(start.tolist())] == expected


def test_many_pairs_that_differ_in_one_half_are_told_apart() -> None:
    """Whatever the weights that this process drew: far away and near to each other."""
    for shift in (0, 17, 31, 40):
        second = np.arange(20_000, dtype=np.int64) << shift
        assert Groups(np.zeros(20_000, dtype=np.int32), second).count == 20_000
    assert Groups(np.arange(20_000, dtype=np.int32), np.zeros(20_000, dtype=np.int64)).count == 20_000


_TIMES = st.integers(-3, 3) | st.sampled_from([-(2**62), 2**62, 2**63 - 1])


@pytest.mark.parametrize("numbered", [True, False])
@settings(max_examples=300, deadline=None)
@given(times=st.lists(_TIMES, max_size=30), data=st.data())
def test_the_order_of_time_is_that_of_time_and_id(times: list[int], numbered: bool, data: st.DataObject) -> None:
    ids = list(range(len(times))) if numbered else data.draw(st.permutations(range(len(times))))
    order = time_order(np.array(times, dtype=np.int64), np.array(ids, dtype=np.int64))
    assert order.tolist() == sorted(range(len(times)), key=lambda at: (times[at], ids[at]))
