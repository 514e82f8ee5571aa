"""A model that the tests of this folder study."""

from __future__ import annotations

import pytest

from tests.support.trained import SHORT, TinyWorld, silent
from training.fitting.calibrated import Fitted, fit_model
from training.samples.labelled_data import Material


@pytest.fixture(scope="session")
def labelled(tiny_world: TinyWorld) -> Material:
    return tiny_world.labelled


@pytest.fixture(scope="session")
def fitted(labelled: Material) -> Fitted:
    return fit_model(labelled, SHORT, silent)
