"""The challenger's share of the files moves by what is measured of it beside the champion, on the same events."""

from __future__ import annotations

from collections.abc import Sequence

from service.feedback.moves import move, to_nothing
from service.lifecycle.states import Action, Entry
from service.operate.seen import Situation, instant
from service.operate.settings import Handling, OperateSettings
from service.operate.severity import Severity
from service.operate.state import OperateState
from service.operate.steps import Held, ResponseStep, What


def move_shares(
    seen: Situation, _severity: Severity, _state: OperateState, settings: OperateSettings
) -> list[ResponseStep | Held]:
    """Return whether a challenger gets more of the files, or none any more."""
    challenger = seen.standing.challenger
    if settings.traffic is Handling.OFF or challenger is None or seen.beside is None:
        return []
    try:
        found = move(seen.standing.traffic, challenger, seen.beside.whole, seen.beside.fresh)
    except ValueError as error:  # of a later release, as commands check what they write
        return [Held(What.TRAFFIC, f"the traffic {seen.standing.traffic!r} {error}")]
    if found.share > 0 and "@challenger" in seen.standing.traffic and _is_of_another(seen.entries):
        found = to_nothing(seen.standing.traffic, challenger, "the share was set for the challenger before it")
    said = f"version {challenger}: {found.why}"
    if found.to == found.share:
        return [Held(What.TRAFFIC, f"{said}; it stays at {found.share:g} %")]
    why = f"{said}; from {found.share:g} to {found.to:g} %"
    return [ResponseStep(What.TRAFFIC, why, settings.traffic is Handling.ACT, found.traffic)]


def since_us(entries: Sequence[Entry]) -> int:
    """Return when the shares were last set, or the challenger came: what is judged since then earns the next step."""
    times = [instant(one.at) for one in entries if one.action in (Action.TRAFFIC, Action.LOAD)]
    return int(max(times).timestamp() * 1e6) if times else 0


def _is_of_another(entries: Sequence[Entry]) -> bool:
    """Return whether the shares were set before this challenger was loaded: those who set them meant another one."""
    last = {one.action: one.number for one in entries}
    return last.get(Action.TRAFFIC, 0) < last.get(Action.LOAD, 0)
