"""A trained run as the gateway has it: exported, loaded, with findings to explain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from service.effects.gradients import NormalWindows
from service.effects.network import Network
from service.effects.questions import Questions
from service.features.case import View
from service.features.table import feature_spec_hash
from service.model.manifest import MODEL_NAME, SVM_NAME
from service.model.repository import Model, load
from tests.support.trained import TinyWorld
from training.runs.folder import Run
from training.samples.splits import normal_events


@dataclass(frozen=True)
class Explained:
    """What is needed to explain findings of a short training in its own world."""

    run: Run
    model: Model
    svms: Model
    network: Network
    svm: Network
    normal: NormalWindows
    ask: Callable[[bool, int], Questions]  # (causal, how many): of anomalous events, their kinds first


@pytest.fixture(scope="session")
def explained(tiny_world: TinyWorld, tiny_run: Path, exported: Path) -> Explained:
    model, svms = (load(exported, feature_spec_hash=feature_spec_hash(), name=name) for name in (MODEL_NAME, SVM_NAME))
    run, world = Run.load(tiny_run), tiny_world.dataset.events

    def ask(causal: bool, most: int) -> Questions:
        view = View(world, causal=causal)
        case = view.case(run.reference)
        anomalous = np.flatnonzero(~normal_events(tiny_world.known.labels))
        asked = np.random.default_rng(0).permutation(anomalous)[:most]
        kinds = np.argsort(-tiny_world.known.labels[asked], axis=1, kind="stable")[:, :2]
        return Questions.of(case, view.windows(case, run.lengths[-1]), asked, kinds)

    network, svm = (Network.read(one.read_onnx(), one.manifest) for one in (model, svms))
    return Explained(run, model, svms, network, svm, NormalWindows(model.manifest), ask)
