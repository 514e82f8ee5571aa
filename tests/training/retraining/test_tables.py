"""Tables of home with what new data add: no key changes its meaning, and what is new was seen a few times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from service.dialect.dialect import Dialect
from service.events.columns import Events
from service.events.vocabulary import KINDS, type_index
from service.features.keys import scan_key
from service.features.reference import Counts, Reference
from tests.support.worlds import OTHER_PRODUCT, ROUTE, Scan, masters, normal_scans, shipment, to_events
from training.datasets.dataset import Dataset
from training.datasets.truth import Truth
from training.evaluation.data_under_test import OwnData
from training.retraining.tables import NewEvents, extended, tables_of_both, united
from training.samples.reference import learn

UNLISTED = 3
"""A place that no master has, among the numbers of those at home."""

HOME = to_events(normal_scans())


def with_new(scans: Sequence[Scan]) -> Reference:
    """Return the tables of HOME and of new events, all of them normal."""
    own = OwnData(Dataset(HOME, masters(), {}, 0), Truth(np.zeros((len(HOME), len(KINDS)), dtype=np.float32)))
    new = to_events(scans)
    normal = np.ones(len(new), dtype=np.bool_)
    return tables_of_both(own, NewEvents(new, normal, ~normal, masters()))


def count_of(table: Counts, keys: NDArray[np.int64]) -> list[float]:
    counts: list[float] = np.append(table.count, 0.0)[table.find(keys)].tolist()
    return counts


def scans_of(tables: Reference, events: Events) -> NDArray[np.int64]:
    return scan_key(tables.place_of(events.location_id), type_index(events.event_type))


def going_to(place: int, items: int) -> list[Scan]:
    """Return new items that are sold at a place."""
    return shipment((*ROUTE[:-1], place), range(6_000, 6_000 + items))


def test_a_place_that_no_master_has_changes_no_key_of_home() -> None:
    alone, both = learn(HOME, np.ones(len(HOME), dtype=np.bool_), masters()), with_new(going_to(UNLISTED, 5))
    assert UNLISTED in both.location_id
    assert np.isnan(both.latitude[both.place_of(np.array([UNLISTED]))]).all()
    expected = count_of(alone.scan, scans_of(alone, HOME))
    assert count_of(both.scan, scans_of(both, HOME)) == expected
    assert min(expected) > 0
    assert sorted(alone.lane.count) == sorted(both.lane.count[both.lane.count != 5])
    before, after = (
        count_of(one.lane, one.lane_key(scans_of(one, HOME)[:-1], scans_of(one, HOME)[1:])) for one in (alone, both)
    )
    assert after == before


@pytest.mark.parametrize(("items", "known"), [(4, 0.0), (5, 5.0)])
def test_a_new_lane_counts_from_the_fifth_item_on(items: int, known: float) -> None:
    both, new = with_new(going_to(UNLISTED, items)), to_events(going_to(UNLISTED, items))
    last = scans_of(both, new)[[8, 9]]  # of the first item
    assert count_of(both.scan, last[1:]) == [known]
    assert count_of(both.lane, both.lane_key(last[:1], last[1:])) == [known]
    assert count_of(both.scan, last[:1]) == [40.0], "what home has counts as home counted"


def test_the_other_product_is_no_stranger_at_a_place_that_has_just_opened() -> None:
    both = with_new(going_to(UNLISTED, 5))
    scan = scans_of(both, to_events(going_to(UNLISTED, 5)))[[9]]
    assert count_of(both.product_scan, both.product_scan_key(np.array([OTHER_PRODUCT]), scan)) == [40.0]


def test_tables_of_other_places_are_not_mixed() -> None:
    normal = np.ones(len(HOME), dtype=np.bool_)
    other = to_events([*normal_scans(), *going_to(UNLISTED, 5)])
    home, wider = learn(HOME, normal, masters()), learn(other, np.ones(len(other), dtype=np.bool_), masters())
    with pytest.raises(ValueError, match="tables of other places"):
        extended(home, wider)


def test_a_network_keeps_its_own_words() -> None:
    own_words = Dialect(columns={"epc_code": "tag"})
    assert united(replace(masters(), dialect=own_words), masters()).dialect == own_words
    assert united(masters(), masters()).dialect is None
