"""By how much each feature moved a score: integrated gradients from a median normal event to the event as it is.

Sundararajan, Taly & Yan (2017), "Axiomatic attribution for deep networks": the gradient of the logit, averaged over the
straight way from the baseline to the features, times how far each feature went. The baseline is the window with every
event replaced by the median normal event of its type and mode.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from service.effects.network import Network
from service.effects.onnx_file import Array
from service.effects.operation import sigmoid
from service.effects.questions import Mixture, Questions
from service.effects.removal import without_features
from service.errors import EffectsUnavailable
from service.features.table import NAMES, TYPE_COLUMNS
from service.model.manifest import Manifest

STEPS = 32
"""Gradients on the way."""

OTHER_EVENTS = "other_events"
"""The effect of all that is unusual about the other events of the window."""

_CHUNK_EVENTS = 2_048
"""Events that go through a network at once, all steps counted: enough to be fast, and few enough for the processor's
cache, in which what the way back needs must stay (with four times as many a finding takes a fifth longer)."""

_TINY = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Effects:
    """M events by K kinds: what moved their scores, in points (0 .. 100).

    baseline_score + the sums of features, other_events and steps = score.
    """

    score: Array  # [M, K] of the event as it is
    baseline_score: Array  # [M, K] with a median normal event in the place of each event of the window
    score_without: Array  # [M, K] without the features that were to be removed
    features: Array  # [M, K, F] of the event; of all events of the window where they share one value
    other_events: Array  # [M, K] the other features of the other events of the window
    steps: dict[str, Array]  # [M, K] of each `Step`, by its name

    def named(self, event: int, kind: int) -> list[tuple[str, float]]:
        """Return (name, points) of all that moved the score of one event and kind (a place in K), the most first."""
        names = [*NAMES, OTHER_EVENTS, *self.steps]
        others = [self.other_events[event, kind], *(points[event, kind] for points in self.steps.values())]
        points = np.concatenate([self.features[event, kind], others])
        order = np.argsort(-np.abs(points), kind="stable")[: np.count_nonzero(points)]
        return [(names[at], moved) for at, moved in zip(order.tolist(), points[order].tolist(), strict=True)]


class NormalWindows:
    """The median normal event of each type and mode, in the places of the events of windows."""

    def __init__(self, manifest: Manifest) -> None:
        """Take the baseline of a manifest.

        Raises:
            EffectsUnavailable: it has none, or one of other features.
        """
        normal = manifest.baseline
        if normal is None:
            raise EffectsUnavailable("its manifest has no normal events to compare with: train and export it again")
        if tuple(manifest.features) != NAMES:
            raise EffectsUnavailable("its manifest is of other features")
        self._normal = np.array([normal.retrospective, normal.causal], dtype=np.float32)  # [2, types, F]

    def of(self, asked: Questions) -> NDArray[np.float32]:
        """Return the normal events [M, T, F] in the place of those of each window."""
        types = asked.features[:, :, TYPE_COLUMNS].argmax(axis=2)  # [M, T]
        normal: NDArray[np.float32] = self._normal[asked.modes, types]
        return normal


def effects(
    mixture: Mixture,
    baseline: NormalWindows,
    asked: Questions,
    removed: NDArray[np.bool_] | None = None,
    steps: int = STEPS,
) -> Effects:
    """Return what moved the scores of the ``asked`` events and kinds, all in one pass.

    Args:
        mixture: the models.
        baseline: the normal events.
        asked: M events.
        removed: [M, K, F] the features without which there is a score of each kind too; by default none.
        steps: gradients on the way.
    """
    normal = asked.about(baseline.of(asked))
    M, K = asked.kinds.shape
    of_kinds = [] if removed is None else [without_features(normal.features, asked, removed[:, k]) for k in range(K)]
    whole = (normal, asked, *of_kinds)  # [E]
    ends = np.repeat(mixture.bias[asked.modes, asked.kinds].astype(np.float64)[None], len(whole), axis=0)  # [E, M, K]
    table = np.zeros((M, K, asked.features.shape[2] + 1))  # features, then other events
    for rows in _chunks(asked, steps):
        part = asked.take(rows)
        way = np.stack([one.take(rows).features for one in whole], axis=1)
        for member in mixture.members:
            weights = member.weights[part.modes, part.kinds]  # [m, K]
            seen = way if member.sees is None else member.sees(way)
            found = integrated_gradients(member.network, seen, part, steps, member.most)
            ends[:, rows] += weights * found.ends
            table[rows] += weights[:, :, None] * _by_name(found.moved, part)
    of_steps = {}
    for step in mixture.steps:
        said = np.stack([mixture.step_logits(step, each) for each in whole])
        ends += said
        of_steps[step.name] = said[1] - said[0]
    before, after = ends[:2]
    left = np.einsum("kmk->mk", ends[2:]) if of_kinds else after
    table = _completed(table, after - before - sum(of_steps.values()))
    points = _points_per_logit(before, after)[:, :, None]
    table *= points
    return Effects(
        score=100 * sigmoid(after),
        baseline_score=100 * sigmoid(before),
        score_without=100 * sigmoid(left),
        features=table[:, :, :-1],
        other_events=table[:, :, -1],
        steps={name: change * points[:, :, 0] for name, change in of_steps.items()},
    )


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """What a network says at both ends of the way from normal events to what is asked, and what moved it."""

    ends: Array  # [E, M, K] logits of the windows given
    moved: Array  # [M, K, T, F] what each feature of each event of the window adds; sums to nearly the difference


def integrated_gradients(
    network: Network, ends: NDArray[np.float32], asked: Questions, steps: int = STEPS, most: float = np.inf
) -> Way:
    """Return what moves the logits of a network on the straight way from ends[:, 0] to ends[:, 1].

    The way is cut in ``steps`` equal parts, and the gradient taken in the middle of each.

    Args:
        network: what judges.
        ends: [M, E, T, F] both ends of the way, and other windows whose logits are wanted.
        asked: the events and kinds; all that is not in ``ends``.
        steps: gradients on the way.
        most: logits are taken as at most this, and at least -``most``.
    """
    (M, E, T, F), K = ends.shape, asked.kinds.shape[1]
    mix = _mix(steps, E)
    lengths, position = asked.lengths.repeat(E, axis=0), asked.position.repeat(E)
    trace = network.trace(ends.reshape(M * E, T, F), lengths, position, mix)
    logits = trace.logits.reshape(M, steps + E, -1)
    rows, columns, way = np.arange(M)[:, None], np.arange(K), ends[:, 1] - ends[:, 0]
    of_kinds = logits[rows, :, asked.kinds]  # [M, K, P]
    seeds = np.zeros((K, *logits.shape), dtype=np.float32)
    seeds[columns, rows, :steps, asked.kinds] = (np.abs(of_kinds[:, :, :steps]) < most) / np.float32(steps)
    gradients = trace.gradients(seeds.reshape(K, -1, logits.shape[2])).reshape(K, M, E, T, F)
    moved = gradients.sum(axis=2).swapaxes(0, 1) * way[:, None]
    return Way(np.clip(of_kinds[:, :, steps:], -most, most).transpose(2, 0, 1), moved)


@lru_cache
def _mix(steps: int, ends: int) -> NDArray[np.float32]:
    """Return the shares [steps + E, E] of the ends in each window on the way; the ends are in the same trace."""
    mix = np.zeros((steps + ends, ends), dtype=np.float32)
    mix[:steps, 1] = (np.arange(steps) + 0.5) / steps
    mix[:steps, 0] = 1 - mix[:steps, 1]
    mix[steps:] = np.eye(ends)
    mix.flags.writeable = False
    return mix


def _by_name(moved: Array, asked: Questions) -> Array:
    """Return [M, K, F + 1] for ``moved`` [M, K, T, F]: by feature of the event, then all of the other events.

    What all events of the window share, like all that their one code tells, is no matter of others: it counts whole.
    """
    T = asked.features.shape[1]
    itself = np.arange(T) == asked.position[:, None]  # [M, T]
    padding = np.arange(T) >= asked.lengths
    same = (asked.features == asked.events[:, None]) | padding[:, :, None]  # [M, T, F]
    own = itself[:, :, None] | same.all(axis=1, keepdims=True)  # [M, T, F]
    of_own = moved * own[:, None]
    others = (moved - of_own).sum(axis=(2, 3))
    return np.concatenate([of_own.sum(axis=2), others[:, :, None]], axis=2)


def _chunks(asked: Questions, steps: int) -> list[NDArray[np.intp]]:
    """Return the questions [M] in parts of windows of one length, of which a network takes all steps at once."""
    length = asked.lengths[:, 0]
    if len(length) == 1:
        return [np.zeros(1, dtype=np.intp)]
    parts: list[NDArray[np.intp]] = []
    for one in np.unique(length):
        rows = np.flatnonzero(length == one)
        most = max(_CHUNK_EVENTS // (int(one) * steps), 1)
        parts += [rows[begin : begin + most] for begin in range(0, len(rows), most)]
    return parts


def _completed(table: Array, change: Array) -> Array:
    """Return ``table`` [M, K, E] with sums of ``change`` [M, K]: what the steps missed goes to each by its size.

    To scale all by one factor instead would blow them up where large effects cancel each other.
    """
    size = np.abs(table)
    share = size / np.maximum(size.sum(axis=2, keepdims=True), _TINY)
    completed: Array = table + share * (change - table.sum(axis=2))[:, :, None]
    return completed


def _points_per_logit(before: Array, after: Array) -> Array:
    """Return the factor [M, K] that makes a change of the score, in points, of a change of the logit."""
    change = after - before
    near = np.abs(change) < 1e-6
    at_the_end = sigmoid(after)
    slope = at_the_end * (1 - at_the_end)
    return 100 * np.where(near, slope, (at_the_end - sigmoid(before)) / np.where(near, 1, change))
