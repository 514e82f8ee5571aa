"""A release is measured as its run is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from service.events.vocabulary import MODES
from tests.support.trained import TinyWorld
from training.errors import DataError
from training.runs.folder import Run
from training.runs.under_test import UnderTest
from training.samples.samples import samples


@pytest.mark.parametrize("causal", [False, True])
def test_a_release_says_what_its_run_says(tiny_world: TinyWorld, tiny_run: Path, exported: Path, causal: bool) -> None:
    run, release = UnderTest.of(tiny_run), UnderTest.of(exported)
    assert (release.weights.max_length, release.balanced(MODES[causal])) == (
        run.weights.max_length,
        run.balanced(MODES[causal]),
    )
    events = tiny_world.dataset.events
    parts = [
        samples(events, tiny_world.known.labels, one.reference, causal=causal, limit=one.weights.max_length)
        for one in (run, release)
    ]
    np.testing.assert_array_equal(parts[0].features, parts[1].features)
    np.testing.assert_allclose(release.weights.model(parts[1]), run.weights.model(parts[0]), atol=1e-4)


def test_a_folder_of_neither_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is no run folder"):
        UnderTest.of(tmp_path)


def test_a_repository_where_a_run_is_needed_is_told_so(exported: Path) -> None:
    with pytest.raises(DataError, match=r"is a model repository and no run folder; name the run .* --causes"):
        Run.load(exported)
