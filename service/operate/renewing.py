"""Retraining when it is bad enough, tables that roll on, and the challengers that come of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from service.lifecycle.states import Action
from service.operate.seen import Situation, instant
from service.operate.settings import Handling, OperateSettings
from service.operate.severity import Severity
from service.operate.state import OperateState
from service.operate.steps import Held, ResponseStep, What


def retrain(
    seen: Situation, severity: Severity, state: OperateState, settings: OperateSettings
) -> list[ResponseStep | Held]:
    """Return whether a retraining is due: it is bad, none runs, the last is long ago, and there are new verdicts."""
    if settings.retraining is Handling.OFF or severity.total <= settings.retrain_above:
        return []
    if seen.runs(What.RETRAIN):
        return [Held(What.RETRAIN, "one runs")]
    last = max(_retrainings(seen, state if settings.retraining is Handling.SUGGEST else OperateState()), default=None)
    since, how = last or (None, "")
    if since is not None and (passed := seen.at - since) < timedelta(seconds=settings.cooldown_s):
        return [Held(What.RETRAIN, f"the last {how} {passed.total_seconds():.0f} s ago, of {settings.cooldown_s:g} s")]
    if (new := seen.new_labels(since)) < settings.least_labels:
        return [Held(What.RETRAIN, f"{new} new verdicts, of {settings.least_labels}")]
    why = f"severity {severity.total:.2f}: {severity.why}; {new} new verdicts"
    return [ResponseStep(What.RETRAIN, why, settings.retraining is Handling.ACT)]


def last_retraining(seen: Situation, state: OperateState) -> datetime | None:
    """Return when the last retraining began or was suggested, or its challenger came, whichever is latest."""
    return max((at for at, _ in _retrainings(seen, state)), default=None)


def _retrainings(seen: Situation, state: OperateState) -> Iterator[tuple[datetime, str]]:
    """Yield (when, how it is known) of all retrainings, those that were suggested alone among them."""
    for one in seen.operations:
        if one.kind == What.RETRAIN and one.was_begun:
            yield instant(one.started_at), "began"
    for entry in seen.entries:
        if entry.action is Action.LOAD:
            yield instant(entry.at), "challenger came"
    if (said := state.suggested.get(What.RETRAIN)) is not None:
        yield instant(said), "was suggested"


def adopt(
    seen: Situation, _severity: Severity, _state: OperateState, settings: OperateSettings
) -> list[ResponseStep | Held]:
    """Return whether the tables are to roll on."""
    if not settings.adopt_command or seen.runs(What.ADOPT):
        return []
    last = next((one for one in seen.operations if one.kind == What.ADOPT and one.was_begun), None)
    if last is not None and seen.at - instant(last.started_at) < timedelta(seconds=settings.adopt_every_s):
        return []
    why = "the first time" if last is None else f"the last time was {last.started_at[:16]}"
    return [ResponseStep(What.ADOPT, why, at_once=True)]


def challenge(
    seen: Situation, _severity: Severity, state: OperateState, settings: OperateSettings
) -> list[ResponseStep | Held]:
    """Return whether a version that came of rolling tables is to be the challenger."""
    if not settings.adopt_command or seen.standing.challenger is not None or seen.runs(What.ADOPT):
        return []
    newest = max(seen.versions, default=0)
    step = ResponseStep(What.LOAD, "its tables are newer", at_once=True, version=newest)
    known = seen.standing.named | seen.standing.deleted
    return [step] if newest > max(known, default=newest) and step.key not in state.refused else []
