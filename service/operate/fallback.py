"""Emergency: the network has failed, and its files go to the rules until it is well, or another version judges.

That it holds is read off the log: the last entry about traffic says so in its reason. Whoever sets other shares has
lifted it, and the next one for the same version comes after the cool-down at the soonest.
"""

from __future__ import annotations

from datetime import timedelta

from service.detect.names import Method
from service.events.vocabulary import KINDS
from service.lifecycle.states import EMERGENCY, Action, Entry
from service.operate.seen import Situation, instant
from service.operate.settings import Handling, OperateSettings
from service.operate.severity import Severity, of_judge
from service.operate.state import OperateState
from service.operate.steps import Held, ResponseStep, What


def fall_back(
    seen: Situation, severity: Severity, _state: OperateState, settings: OperateSettings
) -> list[ResponseStep | Held]:
    """Return whether the rules take over, or give back."""
    if settings.fallback is Handling.OFF:
        return []
    at_once = settings.fallback is Handling.ACT
    if seen.standing.emergency:
        traffic, reason = _lifted(seen, severity, settings)
        return [ResponseStep(What.TRAFFIC, f"fallback lifted: {reason}", at_once, traffic)] if reason else []
    if severity.performance <= settings.fallback_above or seen.standing.champion is None:
        return []
    before = _last_of_champion(seen)
    if before is not None and seen.at - instant(before.at) < timedelta(seconds=settings.cooldown_s):
        return [Held(What.TRAFFIC, f"a fallback was lifted: the next is due {settings.cooldown_s:g} s after entry"
                     f" {before.number} of the log")]  # fmt: skip
    if not settings.fallback_if_worse and (worse := _rules_are_worse(seen, severity)):
        return [Held(What.TRAFFIC, worse)]
    why = f"{EMERGENCY}: severity of performance {severity.performance:.2f}: {severity.why}"
    return [ResponseStep(What.TRAFFIC, why, at_once, f"rules={settings.fallback_percent:g}")]


def _lifted(seen: Situation, severity: Severity, settings: OperateSettings) -> tuple[str, str]:
    """Return (the shares that hold again, why; "" if the fallback goes on)."""
    number, entry = next(
        (number, one) for number, one in reversed(list(enumerate(seen.entries))) if one.action is Action.TRAFFIC
    )
    before = next((one for one in reversed(seen.entries[:number]) if one.action is Action.TRAFFIC), None)
    moved = (Action.PROMOTE, Action.ROLLBACK)
    if any(one.action in moved for one in seen.entries[number + 1 :]):
        return "", f"version {seen.standing.champion} judges now"
    # Half of what called for it: at the limit itself it would come and go with chance.
    if severity.performance <= settings.fallback_above / 2 and _is_measured(seen):
        what = f"severity of performance {severity.performance:.2f}"
        return (before.traffic if before else ""), f"{what} since entry {entry.number} of the log"
    return "", ""


def _is_measured(seen: Situation) -> bool:
    judge = seen.judge("")[:2]
    return any(one.judge[:2] == judge and "average_precision" in one.measures for one in seen.accuracy)


def _last_of_champion(seen: Situation) -> Entry | None:
    """Return the last emergency while this version was the champion."""
    for one in reversed(seen.entries):
        if one.action in (Action.PROMOTE, Action.ROLLBACK):
            return None
        if one.action is Action.TRAFFIC and one.why.startswith(EMERGENCY):
            return one
    return None


def _rules_are_worse(seen: Situation, severity: Severity) -> str:
    """Return why the rules would make it worse, by the mean over the kinds: as measured, else as the manifest says."""
    if severity.worst is None:
        return ""
    mode = severity.worst.judge.mode
    judge, ours, theirs = seen.judge(mode), 0.0, 0.0
    for kind in KINDS:
        measured = of_judge(seen.accuracy, judge.method, mode, kind, judge.model_version)
        promised = seen.promised.get((judge, kind))
        rules = of_judge(seen.accuracy, Method.RULES, mode, kind)
        own = promised.value if measured is None and promised is not None else measured
        other = seen.rules.get((mode, kind)) if rules is None else rules
        if own is None or other is None:
            return ""
        ours, theirs = ours + own / len(KINDS), theirs + other / len(KINDS)
    if theirs >= ours:
        return ""
    return f"the rules would be worse: mean average precision {theirs:.2f}, that of the network {ours:.2f} ({mode})"
