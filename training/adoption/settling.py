"""Tables from unlabelled events: judged, the suspicious set aside, learned again, until nothing moves any more.

What a table was learned from looks normal to it, anomalies included: learned from all of a foreign world, the order of
scans that is wrong there is simply rare. So the first rounds set aside whatever rules or network find, a few per cent
of normal noise among it; and the later ones, whose tables are clean, take back what not both of them find. Learned
from what rules and network agree on alone from the start, half of the wrong orders would stay in for good; without
taking back, noise that belongs to a network would be an alarm for ever.

Times are set aside late, and only those that the network is sure of: quantiles of a lane bear some wrong ones, and
without the slow and the quick ones among the normal ones they would be too narrow, and narrower every round.

A few events may be what the tables make of them, for ever: with them in the tables they look wrong, without them they
do not. Whatever swings so after some rounds stays aside.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.detect import rules
from service.events.columns import Events
from service.events.vocabulary import KINDS
from service.features.reference import Reference
from service.progress import Progress
from training.adoption.judging import judged, within
from training.adoption.rolling import Earlier
from training.adoption.settings import AdoptSettings
from training.datasets.masters import Masters
from training.errors import DataError
from training.runs.weights import TrainedWeights
from training.samples.reference import learn

_STRICT_ROUNDS = 2
_FREE_ROUNDS = 6
"""What is suspected, no more, and again in the rounds after these stays aside. Most tables have settled by then."""

_SURE = 0.5
"""Score or evidence from which one of them alone suspects an event in a strict round."""

_HINT = 0.003
"""Score from which the network does not contradict the rules: hardly any normal event that they suspect has as much.

Clones that the same shop sold again have little more by clean tables, and next to nothing once some are in the tables.
"""

_MOST_ASIDE_STRICT = 0.8
"""Of the events, in a strict round: rules that take a network's daily practice for wrong are contradicted later."""

_TIME = KINDS.index("jump")


@dataclass(frozen=True, slots=True)
class Round:
    """What one round did."""

    aside: int  # events that are not learned from
    moved: int  # of them and the others, those on the other side than a round before
    by_kind: dict[str, int]  # events set aside for a kind; one may be for several


@dataclass(frozen=True, slots=True, eq=False)
class Settled:
    """Tables that teach themselves no more."""

    reference: Reference
    normal: NDArray[np.bool_]  # [N] events that they were learned from
    rounds: tuple[Round, ...]
    suspects: NDArray[np.bool_]  # [N, 5] why events were set aside


def settle(  # noqa: PLR0913, PLR0917 - one of them is an option
    events: Events,
    masters: Masters,
    network: TrainedWeights,
    settings: AdoptSettings,
    progress: Progress,
    earlier: Earlier | None = None,
) -> Settled:
    """Learn the tables of N unlabelled events; with ``earlier`` they are those of both.

    Raises:
        DataError: too much of them is suspicious, or what is keeps changing; says how much, and what to do.
    """

    def teach(normal: NDArray[np.bool_]) -> Reference:
        learned = learn(events, normal, masters)
        if earlier is not None:
            learned = earlier.with_new(learned, events.take(np.flatnonzero(normal)))
        return within(learned, network)

    most_moved = max(int(settings.settled_share * len(events)), settings.settled_events)
    normal: NDArray[np.bool_] = np.ones(len(events), dtype=np.bool_)
    swings = suspects = before = np.zeros((len(events), len(KINDS)), dtype=np.bool_)
    rounds: list[Round] = []
    while len(rounds) < settings.most_rounds:
        number = len(rounds)
        progress(f"round {number + 1}: judging {len(events):,} events", number / settings.most_rounds)
        reference = teach(normal)
        found = _suspects(events, reference, network, strict=number < _STRICT_ROUNDS)
        if number >= _FREE_ROUNDS:
            swings = swings | (found & ~suspects & before)
        before, suspects = suspects, found | swings
        now = np.asarray(~suspects.any(axis=1))
        moved = int((now != normal).sum())
        by_kind = dict(zip(KINDS, suspects.sum(axis=0).tolist(), strict=True))
        rounds.append(Round(int((~now).sum()), moved, by_kind))
        if (~now).mean() > (settings.most_aside if number >= _STRICT_ROUNDS else _MOST_ASIDE_STRICT):
            raise DataError(_too_strange(rounds[-1], len(events), network.title))
        normal = now
        if number > _STRICT_ROUNDS and moved <= most_moved:
            return Settled(teach(normal), normal, tuple(rounds), suspects)
    raise DataError(
        f"the tables do not settle: after {len(rounds)} rounds {rounds[-1].moved:,} of {len(events):,} events still"
        f" change sides (at most {most_moved:,} may); give it more data of one time, or train with labels"
    )


def _suspects(events: Events, reference: Reference, network: TrainedWeights, *, strict: bool) -> NDArray[np.bool_]:
    """Return which events [N, 5] are suspicious, judged by tables learned from most of them."""
    part = judged(events, reference, network, causal=False)
    by_rules = rules.judge(part.features)[0] >= rules.THRESHOLD
    found = (part.scores >= _SURE) | by_rules if strict else (part.scores >= _HINT) & by_rules
    found[:, _TIME] = False if strict else part.scores[:, _TIME] >= _SURE
    return found


def _too_strange(last: Round, events: int, title: str) -> str:
    most = max(last.by_kind, key=lambda kind: last.by_kind[kind])
    return (
        f"{last.aside / events:.0%} of the events look anomalous to {title}, most as {most} ({last.by_kind[most]:,} of"
        f" {events:,}): it does not know what is normal in such a network; train with labels, or name the steps, types"
        " and codes as it knows them"
    )
