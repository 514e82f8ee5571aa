"""The material that the tests of this folder look at."""

from __future__ import annotations

import pytest

from tests.support.trained import TinyWorld
from training.samples.labelled_data import Material


@pytest.fixture(scope="session")
def labelled(tiny_world: TinyWorld) -> Material:
    return tiny_world.labelled
