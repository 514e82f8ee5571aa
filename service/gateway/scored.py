"""What explanations read: the scores of each model version that answers, as something with gradients."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from service.detect.names import Method
from service.effects.questions import Mixture
from service.effects.sources import Sources
from service.errors import EffectsUnavailable
from service.explain.explainer import Scored, ScoredBy
from service.model.repository import Model


def scored_models(lstm: Model, canary: Model | None, svm: Model | None) -> dict[ScoredBy, Callable[[], Scored]]:
    """Return by who judged what makes the sources of effects, which are read when first asked for."""
    sources = cache(lambda: Sources.of(lstm, svm))

    def of(mixture: Callable[[Sources], Mixture | None]) -> Callable[[], Scored]:
        def scored() -> Scored:
            if (found := mixture(sources())) is None:
                raise EffectsUnavailable(sources().warning)
            return Scored(found, sources().normal, lstm.manifest.lengths[-1])

        return scored

    made = {(Method.LSTM, lstm.title): of(lambda read: read.lstm)}
    if svm is not None:
        made[Method.SVM, svm.title] = of(lambda read: read.svm)
        made[Method.ENSEMBLE, f"{lstm.title}+{svm.title}"] = of(lambda read: read.ensemble)
        made[Method.ENSEMBLE, lstm.title] = of(lambda read: read.without_svm)
    if canary is not None:
        made[Method.LSTM, canary.title] = lambda: _alone(canary)
    return made


def _alone(model: Model) -> Scored:
    read = Sources.of(model)
    return Scored(read.lstm, read.normal, model.manifest.lengths[-1])
