"""All that a round does: the responses, one after the other. Each is a function of what was seen."""

from __future__ import annotations

from service.operate.fallback import fall_back
from service.operate.moving import move_shares
from service.operate.renewing import adopt, challenge, retrain
from service.operate.seen import Situation
from service.operate.settings import OperateSettings
from service.operate.severity import Severity
from service.operate.state import OperateState
from service.operate.steps import Held, Response, ResponseStep, What

RESPONSES: tuple[Response, ...] = (fall_back, move_shares, retrain, adopt, challenge)
"""In the order in which they are asked."""

_MOVES = frozenset({What.TRAFFIC, What.LOAD, What.PROMOTE, What.ROLLBACK})


def decide(
    seen: Situation, severity: Severity, state: OperateState, settings: OperateSettings
) -> tuple[list[ResponseStep], list[Held]]:
    """Return (steps, what is held back).

    The log gets one entry in a round: what came first has changed what the others were decided by. While an emergency
    holds nobody but `fall_back` sets the shares.
    """
    steps, held = list[ResponseStep](), list[Held]()
    for respond in RESPONSES:
        for one in respond(seen, severity, state, settings):
            if isinstance(one, Held):
                held.append(one)
            elif one.what in _MOVES and any(other.what in _MOVES for other in steps):
                held.append(Held(one.what, "the log gets one entry in a round"))
            elif one.what is What.TRAFFIC and seen.standing.emergency and respond is not fall_back:
                held.append(Held(one.what, "an emergency holds"))
            else:
                steps.append(one)
    return steps, held
