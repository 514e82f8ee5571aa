"""What there is to say of a judgement: causes and sentences of its findings, and what moved the scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from service.detect.detector import Judgement
from service.detect.names import Method
from service.effects.gradients import NormalWindows, effects
from service.effects.questions import Mixture, Questions
from service.effects.removal import reason_elsewhere
from service.errors import EffectsUnavailable, ModelRepositoryError
from service.explain.causes import CAUSES, Cause, FirstCauses
from service.explain.incidents import Findings, Incident, incidents
from service.explain.reasons import Reasons
from service.features.case import View
from service.features.reference import Reference
from service.features.table import INDEX
from service.model.manifest import ExpectedError
from service.runtime.threads import give_way

_AT_ONCE = 64
"""Events whose effects are worked out at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Moved:
    """What moved the score of one event and kind."""

    effects: list[tuple[str, float]]  # by feature, in points of the score, the most first
    elsewhere: bool  # without the features of the cause the score would be no lower


NOTHING = Moved([], elsewhere=False)


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """What makes the scores of one model version, for the effects on them."""

    mixture: Mixture
    normal: NormalWindows
    limit: int  # events of a window at most


ScoredBy = tuple[Method, str]
"""What judged, and its model version: an ensemble without its SVMs has the version of the network alone."""


class Explanation:
    """Causes and sentences of the events [A] of a judgement, in the order asked."""

    def __init__(
        self, judgement: Judgement, reference: Reference, language: str, expected: ExpectedError | None = None
    ) -> None:
        """Args: ``judgement`` has its case; ``language`` is of the sentences; ``expected`` [5][K] is of who judged."""
        assert judgement.case is not None  # noqa: S101 - what is explained was judged so
        self.judgement, self.case = judgement, judgement.case
        journeys = self.case.journeys
        self._reasons = Reasons(self.case, reference, language)
        self.causal = self._reasons.causal
        self._expected = expected if self.causal else None
        begins = journeys.spread(journeys.start)
        self._causes = FirstCauses(self.case.features, begins, lambda: self._reasons.mates)

    def cause(self, at: int, kind: int) -> Cause:
        """Return the cause of a kind (index of KINDS) at the event ``at``."""
        return CAUSES[self._causes.at(self.case.rows.item(at), kind)[0]]

    def reason(self, at: int, kind: int) -> str:
        """Return the cause in a sentence."""
        row = self.case.rows.item(at)
        first, shown = self._causes.at(row, kind)
        return self._reasons.sentence(row, CAUSES[first], shown)

    def expected_error(self, at: int) -> float | None:
        """Return how often findings of so many known events of the item were wrong, 0 to 1.

        Of the flagged kinds of the event ``at``, the highest. None if it is not judged causally, or nobody knows.
        """
        if self._expected is None:
            return None
        known = int(self.case.journeys.position[self.case.rows[at]])  # events before this one
        shares = [self._expected[kind] for kind in np.flatnonzero(self.judgement.flags[at]).tolist()]
        return max((share[min(known, len(share) - 1)] for share in shares), default=None)

    @cached_property
    def findings(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return ([M] the event, [M] the kind) of each finding."""
        at, kind = np.nonzero(self.judgement.flags)
        return at, kind

    def story(self, incident: Incident) -> str:
        """Return what happened in one sentence: how many, where and when, and why with the numbers of the first one."""
        at, kind = self.findings
        first = int(incident.findings[0])
        return self._reasons.together(
            int(self.case.rows[at[first]]), incident.items, self.reason(int(at[first]), int(kind[first]))
        )

    def incidents(self) -> list[tuple[Incident, NDArray[np.intp]]]:
        """Return each incident with the events [m] of its findings, in the order asked."""
        at, kind = self.findings
        row = self.case.rows[at]
        causes = [self._causes.at(*pair)[0] for pair in zip(row.tolist(), kind.tolist(), strict=True)]
        found = Findings(row, kind, np.array(causes, dtype=np.intp))
        return [(one, np.unique(at[one.findings])) for one in incidents(self.case.journeys, found)]


class Explains(Protocol):
    """What explains judgements: an `Explainer`, or several of which it picks the one of the judgement."""

    def explain(self, judgement: Judgement, language: str) -> Explanation:
        """See `Explainer.explain`."""
        ...

    def moved(self, told: Explanation, at: NDArray[np.intp], kind: NDArray[np.intp]) -> tuple[list[Moved], str]:
        """See `Explainer.moved`."""
        ...


class Explainer:
    """Explains judgements of any detector."""

    def __init__(
        self,
        reference: Reference,
        scored: Mapping[ScoredBy, Callable[[], Scored]],
        expected: Mapping[str, ExpectedError | None] | None = None,
    ) -> None:
        """Args: ``reference`` is what judgements look things up in; ``scored`` makes, by who judged, what effects are
        of, and raises EffectsUnavailable where that cannot be; ``expected`` are the expected errors of networks by
        version.
        """
        self._expected = expected or {}
        self._reference = reference
        self._makers = scored
        self._made: dict[ScoredBy, Scored | str] = {}

    def explain(self, judgement: Judgement, language: str) -> Explanation:
        """Return the causes and sentences of a judgement that has its case."""
        expected = self._expected.get(judgement.model_version) if judgement.method is Method.LSTM else None
        return Explanation(judgement, self._reference, language, expected)

    def moved(self, told: Explanation, at: NDArray[np.intp], kind: NDArray[np.intp]) -> tuple[list[Moved], str]:
        """Return what moved the score of each event ``at`` [M] and kind [M], and a warning if that is not known."""
        scored = self._scored((told.judgement.method, told.judgement.model_version))
        if isinstance(scored, str):
            return [NOTHING] * len(at), scored
        windows = View(told.case.journeys.events, causal=told.causal, given=told.case).windows(told.case, scored.limit)
        found = [NOTHING] * len(at)
        for numbers in _by_event(at):
            give_way()
            asked = Questions.of(told.case, windows, at[numbers[:, 0]], kind[numbers])
            causes = [told.cause(at.item(one), kind.item(one)) for one in numbers.flat]
            for one, moved in zip(numbers.flat, _moved(scored, asked, causes), strict=True):
                found[one] = moved
        return found, ""

    def _scored(self, by: ScoredBy) -> Scored | str:
        """Return what effects are of, or why there is none; rules have no effects, and that is no warning."""
        if by not in self._made:
            maker = self._makers.get(by)
            try:
                self._made[by] = "" if maker is None else maker()
            except EffectsUnavailable as error:
                self._made[by] = f"There are no effects ({error})."
            except ModelRepositoryError:  # its text names paths
                self._made[by] = "There are no effects (the file of the model has changed)."
        return self._made[by]


def _by_event(at: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
    """Return the numbers [m, K] of findings ``at`` [M] some events, in parts: m events that have K findings each.

    What is asked about one event goes through the models once, however many kinds it is about.
    """
    order = np.argsort(at, kind="stable")
    _, first, count = np.unique(at[order], return_index=True, return_counts=True)
    for kinds in np.unique(count).tolist():
        begins = first[count == kinds]
        for begin in range(0, len(begins), _AT_ONCE):
            yield order[begins[begin : begin + _AT_ONCE, None] + np.arange(kinds)]


def _moved(scored: Scored, asked: Questions, causes: list[Cause]) -> list[Moved]:
    """Return what moved each score, event by event and kind by kind, and whether the ``causes`` had a part in it."""
    M, K = asked.kinds.shape
    removed = np.zeros((M * K, len(INDEX)), dtype=np.bool_)
    for row, cause in enumerate(causes):
        removed[row, [INDEX[name] for name in cause.features]] = True
    removed = removed.reshape(M, K, -1)
    found = effects(scored.mixture, scored.normal, asked, removed)
    elsewhere = reason_elsewhere(found.score, found.score_without) & removed.any(axis=2)
    return [Moved(found.named(row, kind), bool(elsewhere[row, kind])) for row in range(M) for kind in range(K)]
