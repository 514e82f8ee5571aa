"""What effects are worked out from: the loaded models of a gateway in numpy, and mixtures of them as scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.detect import rules
from service.detect.ensemble import logit, logit_of_evidence, logit_of_svm
from service.detect.unknown_codes import UsualCodes
from service.effects.gradients import NormalWindows
from service.effects.network import Network
from service.effects.questions import Member, Mixture, Questions, Step
from service.errors import EffectsUnavailable
from service.features.reference import Reference
from service.model.manifest import Ensemble
from service.model.repository import Model

_CERTAIN = np.ones(1, dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Sources:
    """Models that are read and proven, and the normal events of their run."""

    normal: NormalWindows
    lstm: Mixture
    svm: Mixture | None = None
    ensemble: Mixture | None = None
    without_svm: Mixture | None = None  # the ensemble whose SVMs could not answer
    warning: str = ""  # why there are no effects for the SVMs and the ensemble, though they are there

    @classmethod
    def of(cls, model: Model, svms: Model | None = None, steps: tuple[Step, ...] = ()) -> Sources:
        """Return the sources of a run's network and, if they are there, its one-class SVMs.

        The graphs are the local files of the model repository, also where a model server runs the models: its answers
        are held to the same probe. ``steps`` are what else the ensemble is made of.

        Raises:
            EffectsUnavailable: effects cannot be worked out for the network; says why.
        """
        network = _network(model)
        try:
            normal = NormalWindows(model.manifest)
        except EffectsUnavailable as error:
            raise _unavailable(model, error) from error
        alone = Mixture.alone(network)
        if svms is None:
            return cls(normal, alone)
        combination = svms.manifest.ensemble
        without_svm = None if combination is None else mixture_of(combination, (_of_lstm(combination, network),), steps)
        try:
            svm = _network(svms)
        except EffectsUnavailable as error:  # the network is explained all the same
            return cls(normal, alone, without_svm=without_svm, warning=str(error))
        at_home = UsualCodes(Reference.from_json(model.manifest.reference)).at_home
        both = None
        if combination is not None:
            members = _of_lstm(combination, network), _of_svm(combination, svm, at_home)
            both = mixture_of(combination, members, steps)
        return cls(normal, alone, Mixture.alone(svm, at_home), both, without_svm)


def mixture_of(combination: Ensemble, members: tuple[Member, ...], steps: tuple[Step, ...] = ()) -> Mixture:
    """Return the scores that an ensemble gives, see `service.detect.ensemble.weigh`, of the members that answer."""
    if combination.rules is not None:
        steps = (*steps, Step("rules", _by_rules, np.array(combination.rules)))
    return Mixture(members, np.array(combination.bias), steps)


def _of_lstm(combination: Ensemble, network: Network) -> Member:
    return Member(network, np.array(combination.lstm), most=float(logit(_CERTAIN)[0]))


def _of_svm(
    combination: Ensemble, svm: Network, at_home: Callable[[NDArray[np.float32]], NDArray[np.float32]]
) -> Member:
    """Return the SVMs, of which ``at_home`` makes what they see of features, see `UsualCodes`."""
    return Member(svm, np.array(combination.svm), most=float(logit_of_svm(_CERTAIN)[0]), sees=at_home)


def _by_rules(asked: Questions) -> NDArray[np.float64]:
    """Return the logits [M, 5] of the evidence of rules."""
    return logit_of_evidence(rules.opinion(asked.events).evidence, asked.spared)


def _network(model: Model) -> Network:
    try:
        return Network.read(model.read_onnx(), model.manifest)
    except EffectsUnavailable as error:
        raise _unavailable(model, error) from error


def _unavailable(model: Model, error: EffectsUnavailable) -> EffectsUnavailable:
    return EffectsUnavailable(f"effects are not available for {model.title}: {error}")
