"""A short fuzzing, and proof that it sees what it looks for; the long one: ``python -m tests.tools.fuzz``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tools.fuzz import METHODS, Found, fuzz, growth


def test_hostile_requests_do_no_harm() -> None:
    found, wrong = fuzz(1_000, 7)
    assert wrong == []
    assert {method for method, _ in found.codes} == set(METHODS)
    codes = {code for _, code in found.codes}
    assert {"OK", "INVALID_ARGUMENT", "UNAUTHENTICATED", "UNIMPLEMENTED"} <= codes
    assert found.codes["AnalyzeStream", "OK"] > 15


@pytest.mark.parametrize(
    ("answer", "stranger"),
    [
        (("Analyze", "INTERNAL", "internal error, id 1"), False),
        (("Analyze", "UNKNOWN", "Unexpected <class 'KeyError'>: 'x'"), False),
        (("Analyze", "INVALID_ARGUMENT", f"cannot read {Path(__file__)}"), False),
        (("Analyze", "INVALID_ARGUMENT", "Traceback (most recent call last)"), False),
        (("Analyze", "OK", ""), True),
        (("reflection", "INVALID_ARGUMENT", ""), True),
        (("Analyze", "UNAVAILABLE", "Socket closed"), False),
        (("Analyze", "DEADLINE_EXCEEDED", ""), False),
    ],
)
def test_what_must_not_be_is_seen(answer: tuple[str, str, str], stranger: bool) -> None:
    found = Found()
    found.note(*answer, stranger=stranger, hurried=False)
    assert found.wrong


def test_growth_is_seen() -> None:
    assert growth([(float(at), at, 200.0) for at in range(40)]) == 1.0
    assert growth([(float(at), at, 200.0 + at) for at in range(40)]) > 1.05
