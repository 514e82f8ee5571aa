"""What a detector judges: every question about it has the answer that it would have alone."""

from __future__ import annotations

import numpy as np
import pytest

from service.features.case import Case, View
from service.features.past import Past
from service.features.table import INDEX
from tests.support import worlds
from training.samples.reference import learn


def test_a_view_is_judged_by_the_tables_of_whoever_asks() -> None:
    """Two models have tables of their own: a canary that fails leaves the model in use to judge the same view."""
    nothing = learn(worlds.to_events([]), np.zeros(0, dtype=np.bool_), worlds.masters())
    view = View(worlds.to_events(worlds.journey(worlds.code(4_000))), causal=False)
    for reference in (nothing, worlds.reference(), nothing):
        assert np.array_equal(
            view.case(reference).features, Case.of(view.events, reference, causal=False).features, equal_nan=True
        )
    assert (view.case(nothing).features[:, INDEX["code_company_log"]] == 0).all()
    assert (view.case(worlds.reference()).features[:, INDEX["code_company_log"]] > 0).all()


def test_features_that_are_given_are_worked_out_once() -> None:
    view = View(worlds.to_events(worlds.journey(worlds.code(4_000))), causal=True)
    given = view.with_case(worlds.reference())
    assert view.given is None
    assert given.case(worlds.reference()) is given.given


@pytest.mark.parametrize("kind", [View, Case, Past])
def test_what_is_judged_cannot_be_written_to(kind: type) -> None:
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
