"""The ensemble: network, one-class SVMs and rules judge the same events, and their opinions become one.

Where they disagree about a kind, this is the order:

1. A certain rule wins (`Rule.certain`): the event is a finding whatever the models say.
2. Then the models: the logits of all three are weighed (`weigh`), by weights learned on validation data.
3. Weak rules never decide alone: where both models give less than `SUSPICION`, what the rules add stays below the
   threshold of every operating point.
"""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.detect import rules
from service.detect.cutoffs import Cutoffs, Preference
from service.detect.detector import CERTAIN_SCORE, Detector, Judgement, joined
from service.detect.fallback import ask, for_rules_s
from service.detect.names import Method
from service.detect.rules import RULES, Opinion
from service.events.vocabulary import KINDS, MODES
from service.features.case import View
from service.features.reference import Reference
from service.model.manifest import Ensemble
from service.runtime import threads
from service.runtime.deadline import Deadline
from service.runtime.tasks import together

SUSPICION = 0.05
"""Probability from which on a model has an opinion of its own that an event is anomalous."""

_SUREST = 1e-9
"""Probabilities are taken as at least that far from 0 and 1, whose logits are infinite.

Out of its depth a network gives most events less than 1e-6, and still ranks them; a served one tells 6e-8 from 0."""

_SUREST_SVM = 1e-3
"""The same for SVMs, surer than that of all that is new to them, normal or not: they must not outweigh the network.

Macro AP of one adopted network of another generator (11) is 0.985, causally 0.986 so, and 0.982 in both modes by a
millionth; in networks like home nothing moves. None of them is in a reported number."""

_SUREST_RULE = 1e-3
"""The same for evidence, which is 0 or 1 more often than anybody is that sure."""

_PLACES_OF_OTHERS = 0.25
"""How much of what rules say of places counts in somebody else's network: they compare with places and lanes of home.

At 1 the ensemble is below the network in most such networks (`locErr` of simulated ones by up to 0.009), at 0 it adds
nothing; measured on networks that no reported number of it is of."""

_PLACE = KINDS.index("locErr")

Probabilities = NDArray[np.float32]
"""[N, 5], 0 .. 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Members:
    """What each of the members says of N events."""

    lstm: Probabilities
    svm: Probabilities | None  # None: they could not answer
    rules: Opinion
    spared: NDArray[np.bool_] | None = None  # [N] events of another network, see `Case`; None: none is so


class EnsembleDetector:
    """Judges by a network, by the one-class SVMs of the same run, and by the rules."""

    def __init__(  # noqa: PLR0913 - the last ones are options, given by name
        self,
        lstm: Detector,
        svm: Detector,
        reference: Reference,
        combination: Ensemble,
        *,
        preference: Preference,
        without_svm: bool,
    ) -> None:
        """Make the ensemble.

        Args:
            lstm: the network.
            svm: the one-class SVMs.
            reference: what both look things up in.
            combination: what was fitted with the two models.
            preference: the operating point of requests that name none.
            without_svm: let network and rules answer when the SVMs cannot.
        """
        self._lstm, self._svm = lstm, svm
        self._reference = reference
        self._combination = combination
        self._cutoffs = Cutoffs(combination.thresholds, combination.operating_points, preference)
        self._without_svm = without_svm

    async def judge(self, view: View, deadline: Deadline) -> Judgement:
        """Judge the events of ``view``; see `Detector.judge`."""
        # All judge by these features.
        view = await threads.run(threads.ALWAYS_OFF, partial(view.with_case, self._reference), len(view))
        work: list[Coroutine[Any, Any, Any]] = [
            self._lstm.judge(view, deadline),
            ask(self._svm, view, deadline, for_rules_s(view)) if self._without_svm else self._svm.judge(view, deadline),
            threads.run(threads.ALWAYS_OFF, partial(self._by_rules, view), len(view)),
        ]
        lstm, svm, opinion = await together(work)
        conclude = partial(self._conclude, view, lstm, svm, opinion)
        return await threads.run(threads.ALWAYS_OFF, conclude, len(view))

    def _by_rules(self, view: View) -> Opinion:
        case = view.case(self._reference)
        return rules.opinion(case.features[case.rows])

    def _conclude(self, view: View, lstm: Judgement, svm: Judgement | str, opinion: Opinion) -> Judgement:
        """Return the judgement of all; ``svm`` may be why there is none."""
        case = view.case(self._reference)
        spared = None if case.spared is None else case.spared[case.rows]
        members = Members(lstm.scores, svm.scores if isinstance(svm, Judgement) else None, opinion, spared)
        scores = combine(members, self._combination, int(view.causal))
        flags = scores >= self._cutoffs.of(view.point, causal=view.causal)
        votes = {"network": (lstm.scores, lstm.flags)}
        if isinstance(svm, Judgement):
            votes["SVMs"] = svm.scores, svm.flags
            version, warning = f"{lstm.model_version}+{svm.model_version}", svm.warning
            degraded = lstm.degraded or svm.degraded
        else:
            version, degraded = lstm.model_version, True
            warning = f"The one-class SVMs could not answer ({svm}); the network and the rules judged these events."
        votes["rules"] = opinion.evidence, opinion.evidence >= rules.THRESHOLD
        highest = [np.full(len(scores), np.nan) if each is None else each.max(axis=1)
                   for each in (members.lstm, members.svm, opinion.evidence, scores)]  # fmt: skip
        return Judgement(
            scores,
            flags,
            Method.ENSEMBLE,
            version,
            joined(lstm.warning, warning),
            np.stack(highest, axis=1).astype(np.float32),
            _resolutions(scores, flags, votes, opinion),
            self._cutoffs.name(view.point),
            degraded,
            lstm.case,
        )


def combine(members: Members, combination: Ensemble, mode: int) -> Probabilities:
    """Return the probabilities [N, 5] that the members' opinions make, by the order of this module.

    Mode 0 is retrospective, 1 causal.
    """
    scores = weigh(members, combination, mode)
    certain = members.rules.certain >= 0
    scores[certain] = np.maximum(scores[certain], CERTAIN_SCORE)
    suspected = members.lstm >= SUSPICION
    if members.svm is not None:
        suspected |= members.svm >= SUSPICION
    least = np.array(combination.thresholds.of(MODES[mode]), dtype=np.float32)
    alone = ~certain & ~suspected & (scores >= least)
    # Below the threshold, and still in the order of their scores.
    return np.where(alone, np.minimum(least * scores, np.nextafter(least, np.float32(0))), scores)


def weigh(members: Members, combination: Ensemble, mode: int) -> Probabilities:
    """Return the probabilities [N, 5] of logistic regression on the logits of the members.

    logit p = lstm[kind] * logit p_lstm + svm[kind] * logit p_svm + rules[kind] * logit evidence + bias[kind]; what a
    member does not say is left out.
    """
    z = np.array(combination.bias[mode]) + np.array(combination.lstm[mode]) * logit(members.lstm)
    if members.svm is not None:
        z = z + np.array(combination.svm[mode]) * logit_of_svm(members.svm)
    if combination.rules is not None:
        z = z + np.array(combination.rules[mode]) * logit_of_evidence(members.rules.evidence, members.spared)
    found: Probabilities = (1 / (1 + np.exp(-z))).astype(np.float32)
    return found


def logit(probability: Probabilities, surest: float = _SUREST) -> NDArray[np.float64]:
    """Return the logits of probabilities, finite ones."""
    p = np.clip(probability.astype(np.float64), surest, 1 - surest)
    logits: NDArray[np.float64] = np.log(p / (1 - p))
    return logits


def logit_of_svm(probability: Probabilities) -> NDArray[np.float64]:
    """Return the logits of the probabilities of SVMs."""
    return logit(probability, _SUREST_SVM)


def logit_of_evidence(evidence: Probabilities, spared: NDArray[np.bool_] | None = None) -> NDArray[np.float64]:
    """Return the logits [N, 5] of the evidence of rules; of places nearer to silence for events ``spared`` [N]."""
    logits = logit(evidence, _SUREST_RULE)
    if spared is not None:
        silent = logit(np.zeros(1, dtype=np.float32), _SUREST_RULE)
        logits[spared, _PLACE] = silent + _PLACES_OF_OTHERS * (logits[spared, _PLACE] - silent)
    return logits


_Votes = dict[str, tuple[Probabilities, NDArray[np.bool_]]]
"""Probabilities and findings [N, 5] of the members that answered, by their names for people."""


def _resolutions(scores: Probabilities, flags: NDArray[np.bool_], votes: _Votes, opinion: Opinion) -> dict[int, str]:
    """Return by position what is to be said of findings that not every member makes."""
    unanimous = np.logical_and.reduce([found for _, found in votes.values()])
    said: dict[int, list[str]] = {}
    for at, kind in np.argwhere(flags & ~unanimous).tolist():
        yes = [_said(name, voted[at, kind]) for name, (voted, found) in votes.items() if found[at, kind]]
        no = [_said(name, voted[at, kind]) for name, (voted, found) in votes.items() if not found[at, kind]]
        sides = f"{_listed(yes)} against {_listed(no)}" if yes else f"none alone, {_listed(no)}"
        said.setdefault(at, []).append(f"{KINDS[kind]}: {sides}, {_why(at, kind, scores, opinion)}")
    return {at: f"{'; '.join(parts)}." for at, parts in said.items()}


def _said(name: str, score: float) -> str:
    return f"{name} {100 * score:.0f}"


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _why(at: int, kind: int, scores: Probabilities, opinion: Opinion) -> str:
    certain = int(opinion.certain[at, kind])
    if certain >= 0:
        return f"resolved by a rule that is certain ({RULES[certain].reason})"
    strongest = int(opinion.strongest[at, kind])
    reason = f" (rule: {RULES[strongest].reason})" if strongest >= 0 else ""
    return f"resolved by their weights, which make {100 * scores[at, kind]:.0f}{reason}"
