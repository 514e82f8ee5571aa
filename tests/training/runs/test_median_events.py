"""The median normal event of each type."""

from __future__ import annotations

import numpy as np

from service.events.vocabulary import EVENT_TYPES, MODES
from service.features.table import INDEX, NAMES, TYPE_COLUMNS
from tests.support.trained import TinyWorld
from training.runs.median_events import median_events
from training.samples.splits import normal_events


def test_it_is_the_median_of_the_normal_events_of_the_type_and_mode(tiny_world: TinyWorld) -> None:
    labelled = tiny_world.labelled
    check = labelled.samples("validation", labelled.reference("train"))
    found = median_events(check)
    for mode, part in zip(MODES, check, strict=True):
        table = np.array(getattr(found, mode))
        assert table.shape == (len(EVENT_TYPES) + 1, len(NAMES))
        inbound = EVENT_TYPES.index("HUB_Inbound")
        rows = normal_events(part.labels) & (part.features[:, TYPE_COLUMNS[inbound]] == 1)
        assert rows.sum() > 50
        np.testing.assert_allclose(table[inbound], np.median(part.features[rows], axis=0), rtol=1e-5)
    assert found.causal != found.retrospective
    assert {event[INDEX["causal"]] for event in found.causal} == {1.0}


def test_a_type_of_few_events_has_the_median_of_all_and_an_unknown_one_is_of_no_type(tiny_world: TinyWorld) -> None:
    labelled = tiny_world.labelled
    part = labelled.samples("validation", labelled.reference("train"))[0]
    sales = EVENT_TYPES.index("POS_Sell")
    sold = np.flatnonzero(part.features[:, TYPE_COLUMNS[sales]] == 1)
    few = part.take(np.setdiff1d(np.arange(len(part.features)), sold[9:]))
    table = np.array(median_events([few, few]).retrospective)
    everything = np.median(few.features[normal_events(few.labels)], axis=0)
    others = [column for column in range(len(NAMES)) if column not in TYPE_COLUMNS]
    np.testing.assert_allclose(table[sales][others], everything[others], rtol=1e-5)
    np.testing.assert_array_equal(table[:-1][:, TYPE_COLUMNS], np.eye(len(TYPE_COLUMNS))[:-1])
    assert (table[-1][TYPE_COLUMNS] == 0).all()
