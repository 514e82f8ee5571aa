"""Two versions on the same events: differences that hold what they say, and how far shares move by them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from service.detect.traffic import Traffic
from service.feedback.moves import move
from service.feedback.paired import MEAN, PairedDifference, PairedScores, differences
from service.feedback.pairs import judged_twice
from service.feedback.sql import open_verdicts
from service.feedback.verdicts import LabelVerdict
from tests.service.feedback.samples import label, sampled
from tests.tools.feedback.two_versions import sampled_scores


def test_it_is_the_weighted_average_precision_and_says_the_same_again() -> None:
    paired = sampled_scores(np.random.default_rng(1), 0.3)
    found = differences(paired, 50)
    assert differences(paired, 50) == found
    for one, difference in zip(paired, found, strict=False):
        expected = [
            average_precision_score(one.anomalous, scores, sample_weight=one.weights)
            for scores in (one.first, one.second)
        ]
        assert [difference.first, difference.second] == pytest.approx(expected)
    assert found[-1].value == pytest.approx(np.mean([one.value for one in found[:-1]]))


def test_equal_versions_seldom_differ_and_better_ones_do() -> None:
    rng = np.random.default_rng(2)

    def trials(count: int, gain: float = 0.0, *, by_either: bool = True) -> list[PairedDifference]:
        return [differences(sampled_scores(rng, gain, by_either=by_either), 80)[-1] for _ in range(count)]

    equal = trials(24)
    assert sum(one.low > 0 for one in equal) <= 2
    assert sum(one.high < 0 for one in equal) <= 2
    assert sum(one.low > 0 for one in trials(8, 0.4)) >= 7
    one_sided = sum(one.value > 0 for one in trials(24, by_either=False))
    assert one_sided > 17, "what the second alone flags has to be drawn, too"


def test_few_anomalies_tell_nothing() -> None:
    [one] = sampled_scores(np.random.default_rng(3), kinds=1)
    at = np.concatenate([np.flatnonzero(one.anomalous)[:19], np.flatnonzero(~one.anomalous)])
    few = PairedScores(one.mode, one.kind, *(column[at] for column in one[2:]))
    assert differences([few]) == []
    same_item = one._replace(items=np.zeros(len(one.items), dtype=np.int64))
    assert differences([same_item]) == [], "an item's events are no independent evidence"


def test_pairs_are_events_that_both_judged_and_people_labelled(tmp_path: Path) -> None:
    store = open_verdicts(str(tmp_path))
    answered = [sampled(at, 0.9 if at % 2 else 0.1, file_id=at // 10, judged_at_us=at + 1) for at in range(60)]
    store.add_sample(answered)
    beside = [one._replace(model_version="epc_lstm/2", probability=0.5) for one in answered if one.event_id < 40]
    store.add_shadow(beside)
    said = {True: LabelVerdict.CONFIRMED, False: LabelVerdict.REJECTED}
    store.append([label(at, said[bool(at % 2)], file_id=at // 10) for at in (*range(24), *range(40, 60))])
    found = judged_twice(store, "epc_lstm/1", "epc_lstm/2")
    assert len(found.pairs) == 30, "of files with labels"
    [paired] = found.scores()
    assert (paired.kind, paired.mode, len(paired.first), paired.anomalous.sum()) == ("jump", "retrospective", 24, 12)
    assert set(paired.weights) == {2 * 15 / 12}, "an event was drawn for either, and stands for others of its band"
    assert len(found.since(20).pairs) == 10
    assert len(judged_twice(store, "epc_lstm/1", "epc_lstm/2", batches=3).pairs) == 10, "of the latest files"
    assert not judged_twice(store, "epc_lstm/1", "epc_lstm/3").pairs
    store.close()


def difference(low: float, high: float, kind: str = MEAN) -> PairedDifference:
    return PairedDifference("causal", kind, 900, 50, 0.9, 0.9 + (low + high) / 2, (low + high) / 2, low, high)


BETTER, UNSURE, WORSE = difference(0.01, 0.03), difference(-0.01, 0.03), difference(-0.03, -0.01)
SAFE, DOUBTFUL = difference(-0.01, 0.01, "jump"), difference(-0.05, 0.06, "jump")


@pytest.mark.parametrize(
    ("shares", "whole", "fresh", "to", "traffic"),
    [
        ("", [SAFE], [BETTER], 10, "lstm@challenger=10"),
        ("lstm@challenger=25,rules=20", [SAFE], [BETTER], 30, "lstm@challenger=30,rules@champion=20"),
        ("lstm@challenger=30,rules=20", [SAFE], [BETTER], 30, ""),  # the champion keeps half
        ("lstm@2=28", [SAFE], [BETTER], 38, "lstm@2=38"),
        ("lstm@challenger=45", [SAFE], [BETTER], 50, "lstm@challenger=50"),
        ("lstm@challenger=50", [SAFE], [BETTER], 50, ""),
        ("lstm@challenger=25", [DOUBTFUL], [BETTER], 30, "lstm@challenger=30"),
        ("lstm@challenger=30", [DOUBTFUL], [BETTER], 30, ""),
        ("lstm@challenger=80", [SAFE], [BETTER], 80, ""),  # set by hand
        ("lstm@challenger=20", [SAFE], [UNSURE], 20, ""),
        ("lstm@challenger=20", [SAFE, BETTER], [], 20, ""),  # better, but not by what came since
        ("lstm@challenger=20,svm=5", [WORSE], [], 0, "svm@champion=5"),
        ("lstm@challenger=20", [SAFE._replace(high=-0.001), BETTER], [BETTER], 0, ""),  # one kind is worse
    ],
)
def test_shares_move_a_step_within_their_bounds_and_to_nothing_at_harm(
    shares: str, whole: list[PairedDifference], fresh: list[PairedDifference], to: float, traffic: str
) -> None:
    found = move(shares, 2, whole, fresh)
    assert found.to == to
    assert found.to == found.share or found.traffic == traffic
    after = {one.name: one.percent for one in Traffic.parse(found.traffic).shares}
    assert sum(after.values()) == pytest.approx(100)
    assert max(after.get("lstm@challenger", 0.0), after.get("lstm@2", 0.0)) == to
