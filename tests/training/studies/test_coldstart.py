"""The study of first events: what each of its models is blind to, and what it counts."""

from __future__ import annotations

import numpy as np
import pytest

from service.events.vocabulary import KINDS
from service.features import table as features
from tests.support.trained import SHORT, TinyWorld, silent
from training.fitting.calibrated import Fitted, fit_model
from training.metrics.per_kind import per_kind
from training.metrics.ranking import MACRO
from training.network.predict import predict
from training.samples.samples import Samples
from training.studies.coldstart import ALONE, LEAST, PLACES, SIBLINGS, Lookup, by_place, masked, mixed, without_siblings


@pytest.fixture(scope="module")
def fitted(tiny_world: TinyWorld) -> Fitted:
    return fit_model(tiny_world.labelled, SHORT.model_copy(update={"epochs": 1}), silent)


@pytest.fixture(scope="module")
def check(fitted: Fitted) -> Samples:
    return fitted.check[1]


def test_a_masked_sample_knows_the_item_alone(check: Samples) -> None:
    alone = masked(check)
    others = np.ones(len(features.NAMES), dtype=np.bool_)
    others[features.COMPANIONS] = False
    assert not alone.features[:, features.COMPANIONS].any()
    assert check.features[:, features.COMPANIONS].any()
    np.testing.assert_array_equal(alone.features[:, others], check.features[:, others])


def test_the_model_of_the_item_alone_does_not_see_its_siblings(
    tiny_world: TinyWorld, fitted: Fitted, check: Samples
) -> None:
    config = SHORT.model_copy(update={"epochs": 1, "windows_per_epoch": 500})
    judge = without_siblings(tiny_world.labelled, config, fitted)
    np.testing.assert_array_equal(judge(check), judge(masked(check)))


def test_an_event_that_is_known_is_its_own_nearest(fitted: Fitted, check: Samples) -> None:
    lookup = Lookup.of(fitted, check, np.random.default_rng(0))
    near = lookup.scores(fitted, check, k=1)
    assert np.isclose(near, check.labels).all(axis=1).mean() > 0.9  # some events look the same
    np.testing.assert_array_equal(mixed(predict(fitted.model, check), near, 1.0), near)


def test_every_event_is_counted_at_its_place_and_measured_there(fitted: Fitted, check: Samples) -> None:
    scores = predict(fitted.model, check)
    table = by_place(check, {ALONE: np.zeros_like(scores), SIBLINGS: scores})
    counted = table[(table["kind"] == MACRO) & (table["knows"] == SIBLINGS)].set_index("place")
    assert counted["events"].sum() == len(check.labels)
    assert list(counted.index) == list(PLACES)
    later, kind = check.windows.length > 2, KINDS.index("locErr")
    ap = table[(table["place"] == "later events") & (table["kind"] == "locErr")].set_index("knows")["ap"]
    assert ap[SIBLINGS] == pytest.approx(per_kind(check.labels[later], scores[later])["locErr"]["ap"])
    assert ap[ALONE] == pytest.approx((check.labels[later, kind] >= 0.5).mean())
    assert (table["ap"].isna() == (table["anomalous"] < LEAST))[table["kind"] != MACRO].all()
