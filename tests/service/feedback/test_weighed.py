"""What words are worth in the store: a person at odds with the others hides no fall, makes none, and is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from service.feedback.accuracy import accuracy
from service.feedback.exposition import AccuracyCollector
from service.feedback.sql import SqlVerdicts, open_verdicts
from service.feedback.verdicts import EventLabel, LabelVerdict, agreed
from service.feedback.weighed import RECENT, sound, weighed
from tests.service.feedback.samples import ASKED, ERRORS, judge_beside_a_flipper, label


@pytest.fixture
def store(tmp_path: Path) -> SqlVerdicts:
    return open_verdicts(str(tmp_path))


@pytest.mark.parametrize(("missed", "falls"), [(0.0, False), (0.4, True)])
def test_a_fall_is_seen_and_none_is_made_up_beside_a_person_who_flips(
    store: SqlVerdicts, missed: float, falls: bool
) -> None:
    judge_beside_a_flipper(store, missed)
    found = accuracy(store, weighed(store.labels(), ERRORS), resamples=100)
    [jump] = [one.measures["average_precision"] for one in found if one.kind == "jump"]
    assert (jump.high < 0.95) == falls
    assert jump.value == pytest.approx(1 - missed, abs=0.12)


def test_a_person_at_odds_is_named_once(store: SqlVerdicts) -> None:
    judge_beside_a_flipper(store, 0.0)
    assert [one.who for one in weighed(store.labels(), ERRORS).at_odds] == ["cay"]
    assert [one.who for one in weighed(store.labels(), 0.0).at_odds] == ["cay"], "contradictions show it by themselves"
    collector = AccuracyCollector(store, dict, error_rate=ERRORS, least_s=0)
    with capture_logs() as logs:
        shown = {family.name: family.samples for family in collector.collect()}
        store.append([label(0, LabelVerdict.REJECTED, who="ann", labelled_at_us=9_000)])
        list(collector.collect())
    assert shown["epc_sentinel_auditors_at_odds"][0].value == 1
    [line] = [one for one in logs if "auditor" in one["event"]]
    assert (line["who"], line["compared"]) == ("cay", ASKED)


def test_what_versions_are_compared_by_is_not_what_a_person_at_odds_says(store: SqlVerdicts) -> None:
    truth = judge_beside_a_flipper(store, 0.0)
    labels = store.labels()
    assert {one.who for one in sound(labels)} == {"ann", "bob"}
    wrong = [np.mean([said != truth[event] for (_, event, _), said in agreed(some).items()])
             for some in (labels, sound(labels))]  # fmt: skip
    assert wrong[0] > 0.02
    assert wrong[1] < 0.006


def test_two_of_unequal_worth_are_no_tie(store: SqlVerdicts) -> None:
    judge_beside_a_flipper(store, 0.0)
    ann, cay = (label(ASKED, verdict, who=who) for who, verdict in
                (("ann", LabelVerdict.REJECTED), ("cay", LabelVerdict.CONFIRMED)))  # fmt: skip
    claim = ann.claim
    assert weighed([ann, cay], 0.0).evidence == {}, "of people who err alike they are one"
    assert weighed([ann], 0.0).evidence == {claim: -np.inf}, "no error is stated or shown: it is the truth"
    known = weighed([*store.labels(), ann, cay], ERRORS).evidence[claim]
    assert -np.log(19) < known < -2


def test_who_errs_of_late_is_known_by_what_he_says_of_late() -> None:
    def said(event: int, who: str, *, confirms: bool) -> EventLabel:
        verdict = LabelVerdict.CONFIRMED if confirms else LabelVerdict.REJECTED
        return label(event, verdict, who=who, sequence=event + 1, score=0.001, model_version="epc_lstm/1")

    count = RECENT + RECENT // 2
    good = [said(event, who, confirms=False) for event in range(count) for who in ("ann", "bob")]
    turned = [said(event, "cay", confirms=event > count - RECENT) for event in range(count)]
    [cay] = weighed([*good, *turned], ERRORS).at_odds
    assert (cay.who, cay.words) == ("cay", RECENT)
    assert cay.of_normal > 0.95
