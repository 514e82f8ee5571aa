"""What moved the scores of an item, as the gateway or an explainer tells it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from service.pb.epcsentinel.v1 import anomaly_pb2 as pb

MOST_BARS = 8
"""Effects of one score that are drawn."""


@dataclass(frozen=True, slots=True)
class EffectBar:
    """One feature's effect as a bar from the middle: to the right if it raised the score, to the left if not."""

    feature: str
    value: float
    effect: float  # points of the score, which is 0 to 100
    begin: float  # percent of the whole width
    width: float


@dataclass(frozen=True, slots=True)
class ScoreMoved:
    """What moved one score."""

    bars: tuple[EffectBar, ...]
    elsewhere: bool  # without the features of the cause the score would be no lower


Moves = Mapping[tuple[int, str], ScoreMoved]
"""By event id and kind; what nobody asked about is not there."""


def moves_of(answers: Iterable[pb.ExplainResponse]) -> dict[tuple[int, str], ScoreMoved]:
    """Return what moved the flagged scores of the answers."""
    return {
        (answer.event_id, one.kind): ScoreMoved(effect_bars(one.effects), one.reason_elsewhere)
        for answer in answers
        for one in answer.explanations
        if one.flagged
    }


def effect_bars(effects: Iterable[pb.FeatureEffect]) -> tuple[EffectBar, ...]:
    """Return the largest effects, which come first, as bars of which the longest takes one half."""
    drawn = list(effects)[:MOST_BARS]
    most = max((abs(one.effect) for one in drawn), default=0.0)
    if not most:
        return ()
    bars = []
    for one in drawn:
        width = round(50 * abs(one.effect) / most, 2)
        bars.append(EffectBar(one.feature, one.value, one.effect, 50.0 if one.effect > 0 else 50 - width, width))
    return tuple(bars)
