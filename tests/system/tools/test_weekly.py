"""`tests.tools.feedback.weekly`: what the words of each week make of a network, in each way."""

from __future__ import annotations

from pathlib import Path

from service.events.vocabulary import KINDS
from service.features.table import feature_spec_hash
from service.feedback.baselines import Promised
from service.feedback.estimators import Interval
from service.feedback.sampling import AuditSample
from service.model.repository import load
from tests.tools.feedback.closing import DRIFT_DAY, FIRST_DAY, WEEK
from tests.tools.feedback.weekly import BY_OWN, RULES, WAYS, Look, alarms, judged_world, looks


def test_each_week_is_measured_in_each_way_and_errors_hide_little(bundled_repository: Path) -> None:
    model = load(bundled_repository, feature_spec_hash=feature_spec_hash())
    world = judged_world(model, epcs=2_000, seed=71)
    found = list(looks(world, AuditSample.of(model.manifest, 0.5), 2, 0.3, [71]))
    assert [(look.week, look.way) for look in found] == [(week, way) for week in (0, 1) for way in WAYS]
    by_truth, own = ({kind: one.value for kind, one in found[at].found.items()} for at in (-1, WAYS.index(BY_OWN) - 3))
    assert set(by_truth) <= set(own) == set(KINDS)
    assert all(abs(by_truth[kind] - own[kind]) < 0.1 for kind in by_truth), "70 of 200 of his words are wrong"


def test_alarms_are_counted_before_the_drift_and_since() -> None:
    drift_week = (DRIFT_DAY - FIRST_DAY) // WEEK
    highs = {0: 0.9996, drift_week: 0.97, drift_week + 1: 0.9}  # of the third kind, of which 1 was promised
    story = [Look(week, BY_OWN, {"locErr": Interval(0.7, 0.5, high)}) for week, high in highs.items()]
    promises = {"locErr": Promised(1.0, 0.98)}
    plain, apart = (alarms([story], BY_OWN, promises, rule) for rule in RULES.values())
    assert plain == (1, [14])
    assert apart == (0, [14])
