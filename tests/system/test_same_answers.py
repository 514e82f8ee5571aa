"""``python -m tests.tools.same_answers`` sees every difference: a last bit, an answer, an event that is missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from service.events.vocabulary import KINDS
from tests.support.gateway import ROOT
from tests.support.versions import add_version
from tests.support.worlds import normal_scans, to_events
from tests.tools.same_answers import Answers, Part, ask, compare, parts, repository_digests

PART = Part("part", "Analyze", "lstm", [b"one", b"two"], [2, 1])


def answers(**changed: Any) -> Answers:  # noqa: ANN401
    """Return a gateway's answers to PART, with other columns of the log where they are named."""
    scores = {kind: np.array([0.1, 0.2, 0.3], dtype=np.float32) for kind in KINDS}
    columns = {"request_id": ["0", "0", "1"], "judged_by": ["rule-based"] * 3, "jumpFlag": [False] * 3}
    return Answers([b"a", b"b"], pa.table(scores | columns | changed), "hash")


def test_equal_answers_are_the_same() -> None:
    found = compare(PART, answers(), answers())
    assert found.same
    assert (found.scores, found.judged_by) == (15, "rule-based")


@pytest.mark.parametrize(
    ("score", "difference"), [(np.nextafter(np.float32(0.2), np.float32(1)), 1.5e-8), (np.nan, np.inf)]
)
def test_the_last_bit_of_a_score_counts(score: float, difference: float) -> None:
    other = np.array([0.1, score, 0.3], dtype=np.float32)
    found = compare(PART, answers(), answers(locErr=other))
    assert not found.same
    assert found.unequal == 1
    assert found.largest == pytest.approx(difference, rel=0.01)
    assert not compare(PART, answers(epcFake=np.float32([0, 0, 0])), answers(epcFake=np.float32([0, -0.0, 0]))).same


def test_flags_names_missing_events_and_bytes_count() -> None:
    flagged = compare(PART, answers(), answers(jumpFlag=[False, True, False]))
    assert (flagged.same, flagged.columns) == (False, ["jumpFlag"])
    foreign = compare(PART, answers(), replace(answers(), responses=[b"a", b"c"]))
    assert (foreign.same, foreign.responses) == (False, 1)
    short = replace(answers(), log=answers().log.slice(0, 2))
    assert not compare(PART, answers(), short).same
    assert not compare(PART, short, short).same  # both lost it: nothing is known of it


def test_every_part_has_all_its_events_once() -> None:
    world = to_events(normal_scans())
    found = list(parts(world, 1.0, triton=True))
    assert {part.events for part in found if part.name.startswith("world")} == {len(world)}
    assert {(part.detector, part.method, part.triton) for part in found} >= {
        ("ensemble", "AnalyzeFiles", True),
        ("svm", "Analyze", False),
        ("lstm", "AnalyzeStream", False),
    }


def test_a_gateway_that_judges_a_little_otherwise_is_seen(bundled_repository: Path, tmp_path: Path) -> None:
    add_version(bundled_repository, tmp_path / "repository", logit_shift=1e-5)
    part = next(parts(to_events(normal_scans()), 1.0, triton=False))
    shifted = "--backend", f"onnx:{tmp_path / 'repository'}", "--model-version", "2"
    found = compare(part, ask(part, (), ROOT), ask(part, shifted, ROOT))
    assert found.unequal > 0
    assert 0 < found.largest < 1e-5
    assert "model_version" in found.columns


def test_the_digests_are_those_of_the_model(bundled_repository: Path) -> None:
    names = {path.name for path in bundled_repository.rglob("*") if path.is_file()}
    assert {Path(name).name for name in repository_digests(ROOT)} == names
