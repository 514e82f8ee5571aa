"""Journeys: the order of the events of a request, by item and by time."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from service.events.journeys import Journeys
from tests.support.worlds import START, Scan, code, to_events


@settings(max_examples=200, deadline=None)
@given(data=st.data(), n=st.integers(1, 30))
def test_journeys_are_runs_of_one_item_in_the_order_of_time_and_id(data: st.DataObject, n: int) -> None:
    drawn = data.draw(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=n, max_size=n))
    ids = data.draw(st.permutations(range(1, n + 1)))
    times = [START + timedelta(hours=hour) for _, hour in drawn]
    events = to_events(Scan(code(i), "WMS_Inbound", 5, t, e) for (i, _), t, e in zip(drawn, times, ids, strict=True))
    journeys = Journeys.of(events)
    moments = list(zip(events.time_us.tolist(), events.event_id.tolist(), strict=True))
    rows = [(int(events.epc[at]), moments[at]) for at in journeys.order]
    assert sorted(journeys.order.tolist()) == list(range(n))
    assert rows == sorted(rows)
    assert [moments[journeys.order[at]] for at in journeys.by_time] == sorted(moments)
    assert journeys.rank[journeys.by_time].tolist() == list(range(n))
    assert np.array_equal(journeys.events.event_id, events.event_id[journeys.order])
    sizes = Counter(events.epc.tolist())
    assert journeys.length.tolist() == [sizes[epc] for epc in sorted(sizes)]
    assert journeys.position.tolist() == [place for size in journeys.length for place in range(size)]
    before, has_before = journeys.previous()
    assert has_before.tolist() == (journeys.position > 0).tolist()
    assert before[has_before].tolist() == (np.flatnonzero(has_before) - 1).tolist()
    assert journeys.spread(journeys.start).tolist() == (np.arange(n) - journeys.position).tolist()
