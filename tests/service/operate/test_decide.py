"""What a round decides: each response at its limits, and together."""

from __future__ import annotations

import pytest

from service.detect.names import Method
from service.feedback.verdicts import LabelVerdict
from service.lifecycle.operations import Progressing
from service.lifecycle.states import EMERGENCY, Action
from service.operate.decide import decide
from service.operate.seen import DriftOfGateway, Situation
from service.operate.settings import OperateSettings
from service.operate.severity import severity_of, watched
from service.operate.state import OperateState
from service.operate.steps import ResponseStep, What
from tests.service.feedback.samples import label
from tests.service.operate.seeing import before, entry, labels, measured, operation, seen

ACT = OperateSettings(fallback="act", retraining="act")  # type: ignore[arg-type]
DRIFTS = DriftOfGateway("epc_lstm/1", "causal", alarm=True, psi=0.3)


@pytest.mark.parametrize(
    ("found", "performance"),
    [
        ([measured(0.93)], 0.1),
        ([measured(0.90), measured(0.93, kind="locErr")], 0.25),
        ([measured(0.90, high=0.96)], 0.0),  # chance explains it
        ([measured(0.64, high=0.9496)], 0.0),  # the promise is an estimate, too
        ([measured(0.79)], 0.8),
        ([measured(0.50)], 1.0),
        ([measured(0.94, auc=0.74)], 1.0),
        ([measured(0.50, method=Method.ENSEMBLE)], 0.0),  # it has a judge of its own
        ([], 0.0),
    ],
)
def test_the_severity_is_that_of_the_kind_that_suffers_most(found: list, performance: float) -> None:  # type: ignore[type-arg]
    assert severity_of(seen(accuracy=found)).performance == pytest.approx(performance)
    assert severity_of(seen(close=found)).performance == pytest.approx(performance), "of the shorter window, too"


@pytest.mark.parametrize(
    ("alarm", "psi", "drift"), [(False, 9, 0), (True, 0.01, 0.2), (True, 0.2, 0.4), (True, 0.25, 0.5), (True, 9, 0.5)]
)
def test_drift_alone_calls_for_a_closer_look_and_for_nothing_else(alarm: bool, psi: float, drift: float) -> None:
    now = seen(
        drift=[DriftOfGateway("epc_lstm/1", "causal", alarm, psi), DriftOfGateway("epc_lstm/9", "causal", True, 9.0)]
    )
    severity = severity_of(now)
    assert (severity.total, severity.performance) == (pytest.approx(drift), 0)
    assert decide(now, severity, OperateState(), ACT) == ([], [])


def test_both_together_are_worse_than_each() -> None:
    severity = severity_of(seen(accuracy=[measured(0.83)], drift=[DRIFTS]))
    assert severity.total == pytest.approx(1 - 0.4 * 0.5)
    assert "average precision 0.830" in severity.why
    assert "PSI 0.30" in severity.why


def test_models_are_watched_closely_until_some_rounds_were_quiet() -> None:
    assert watched(False, 0, 0.2, 0.2, 2) == (False, 0)
    assert watched(False, 0, 0.21, 0.2, 2) == (True, 0)
    assert watched(True, 0, 0.1, 0.2, 2) == (True, 1)
    assert watched(True, 1, 0.3, 0.2, 2) == (True, 0)
    assert watched(True, 1, 0.1, 0.2, 2) == (False, 2)


def steps(now: Situation, settings: OperateSettings = ACT, state: OperateState | None = None) -> list[ResponseStep]:
    return decide(now, severity_of(now), state or OperateState(), settings)[0]


def held(now: Situation, settings: OperateSettings = ACT, state: OperateState | None = None) -> str:
    return "; ".join(one.why for one in decide(now, severity_of(now), state or OperateState(), settings)[1])


FAILED = [measured(0.80)]


def test_a_network_that_has_failed_hands_its_files_to_the_rules() -> None:
    [step] = steps(seen(accuracy=FAILED))
    assert (step.what, step.traffic, step.at_once) == (What.TRAFFIC, "rules=100", True)
    assert step.why.startswith(f"{EMERGENCY}: severity of performance 0.75: average precision 0.800")
    assert steps(seen(accuracy=FAILED), OperateSettings()) == [], "off by default"
    assert steps(seen(accuracy=[measured(0.84)])) == [], "0.55 is not above 0.6"
    [said] = steps(seen(accuracy=FAILED), OperateSettings(fallback="suggest", fallback_percent=90))  # type: ignore[arg-type]
    assert (said.at_once, said.traffic) == (False, "rules=90")


def test_rules_that_are_known_to_be_worse_do_not_take_over() -> None:
    now = seen(accuracy=FAILED, rules=0.6)
    assert steps(now) == []
    assert (
        held(now) == "the rules would be worse: mean average precision 0.60, that of the network 0.92 (retrospective)"
    )
    assert steps(now, ACT.model_copy(update={"fallback_if_worse": True}))
    kinds = ("epcFake", "epcDup", "locErr", "evtOrderErr", "jump")
    better = [measured(0.94, kind=kind, method=Method.RULES) for kind in kinds]
    assert steps(seen(accuracy=[*FAILED, *better], rules=0.6)), "what was measured of them counts, not the manifest"


EMERGENCY_ENTRY = entry(3, Action.TRAFFIC, why=f"{EMERGENCY}: x", traffic="rules=100", hours=2)


def test_an_emergency_is_lifted_when_it_is_over_and_not_before() -> None:
    shared = entry(2, Action.TRAFFIC, traffic="lstm@1=50", hours=3)
    assert steps(seen(shared, EMERGENCY_ENTRY, accuracy=FAILED)) == []
    assert steps(seen(shared, EMERGENCY_ENTRY, accuracy=[measured(0.88)])) == [], "0.35 is more than half of 0.6"
    [lifted] = steps(seen(shared, EMERGENCY_ENTRY, accuracy=[measured(0.9)]))
    assert lifted.traffic == "lstm@1=50"
    assert lifted.why == "fallback lifted: severity of performance 0.25 since entry 3 of the log"
    [other] = steps(seen(shared, EMERGENCY_ENTRY, entry(4, Action.PROMOTE, 2, hours=1), accuracy=FAILED))
    assert (other.traffic, other.why) == ("", "fallback lifted: version 2 judges now")
    assert steps(seen(shared, EMERGENCY_ENTRY), OperateSettings()) == [], "then by hand"
    assert steps(seen(shared, EMERGENCY_ENTRY)) == [], "nothing is measured"


def test_who_lifts_an_emergency_is_not_overruled_before_the_cool_down() -> None:
    by_hand = entry(4, Action.TRAFFIC, why="the gate was broken", hours=1)
    first = EMERGENCY_ENTRY.model_copy(update={"number": 2})
    by_hand = by_hand.model_copy(update={"number": 3})
    now = seen(first, by_hand, accuracy=FAILED)
    assert steps(now) == []
    assert "a fallback was lifted" in held(now)
    assert steps(now, ACT.model_copy(update={"cooldown_s": 3600.0}))


BAD = [measured(0.78)]  # 0.85
ONLY_RETRAIN = OperateSettings(retraining="act")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (seen(accuracy=BAD, labels=labels(99, hours=1)), "99 new verdicts, of 100"),
        (seen(accuracy=BAD, labels=labels(100, hours=1)), ""),
        (seen(accuracy=BAD, labels=labels(100, days=4), operations=[operation("retrain", days=3)]), "0 new verdicts"),
        (seen(accuracy=BAD, labels=labels(100, hours=1), operations=[operation("retrain", hours=23)]),
         "the last began 82800 s ago, of 86400 s"),
        (seen(accuracy=BAD, labels=labels(100, hours=1), operations=[operation("retrain", hours=25)]), ""),
        (
            seen(accuracy=BAD, labels=labels(100, hours=1),
                 operations=[operation("retrain", Progressing.RUNNING, hours=25)]),
            "one runs",
        ),
        (seen(entry(2, Action.LOAD, 2, hours=5), accuracy=BAD, labels=labels(100, hours=1)),
         "the last challenger came 18000 s ago"),
    ],
)  # fmt: skip
def test_a_retraining_is_due_when_it_is_bad_the_last_is_long_ago_and_enough_is_new(now: Situation, reason: str) -> None:
    due = [step for step in steps(now, ONLY_RETRAIN) if step.what is What.RETRAIN]
    assert bool(due) is not bool(reason)
    assert reason in held(now, ONLY_RETRAIN)


def test_a_suggested_retraining_is_suggested_once_in_a_cool_down() -> None:
    now = seen(accuracy=BAD, labels=labels(100, hours=1))
    [step] = steps(now, OperateSettings())
    assert (step.what, step.at_once) == (What.RETRAIN, False)
    said = OperateState(suggested={"retrain": before(hours=5)})
    assert steps(now, OperateSettings(), said) == []
    assert held(now, OperateSettings(), said) == "the last was suggested 18000 s ago, of 86400 s"
    begun = seen(accuracy=BAD, labels=labels(100, hours=1), operations=[operation("retrain", hours=2)])
    assert held(begun, OperateSettings(), said) == "the last began 7200 s ago, of 86400 s", "the later one is told of"
    assert steps(now, ONLY_RETRAIN, said), "who acts from now on does not wait for what was said before"
    assert steps(seen(accuracy=[measured(0.79)], labels=labels(100, hours=1)), OperateSettings()) == [], (
        "0.8 is not above"
    )


def test_verdicts_that_say_nothing_are_not_counted() -> None:
    said = [label(1), label(1, who="bob"), label(2, LabelVerdict.UNSURE), label(3, LabelVerdict.WITHDRAWN)]
    assert seen(labels=said).new_labels(None) == 1


def test_tables_roll_on_in_their_time_and_what_comes_of_it_is_a_challenger() -> None:
    weekly = OperateSettings(adopt_command="epc-sentinel adopt --update")
    assert [step.what for step in steps(seen(), weekly)] == [What.ADOPT]
    assert steps(seen(), OperateSettings()) == []
    recent = [operation("adopt", days=6)]
    assert steps(seen(operations=recent), weekly) == []
    assert [step.what for step in steps(seen(operations=[operation("adopt", days=8)]), weekly)] == [What.ADOPT]
    [step] = steps(seen(operations=recent, versions=[1, 2]), weekly)
    assert (step.what, step.version) == (What.LOAD, 2)
    assert steps(seen(operations=recent, versions=[1, 2]), weekly, OperateState(refused={step.key: "damaged"})) == []
    assert steps(seen(entry(2, Action.LOAD, 2), operations=recent, versions=[1, 2, 3]), weekly) == []


def test_the_log_gets_one_entry_in_a_round() -> None:
    both = ACT.model_copy(update={"adopt_command": "x"})
    now = seen(accuracy=FAILED, operations=[operation("adopt", days=1)], versions=[1, 2])
    assert [step.what for step in steps(now, both)] == [What.TRAFFIC]
    assert held(now, both) == "the log gets one entry in a round"
