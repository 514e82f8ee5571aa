"""Patterns are read in one go or refused: no text takes a time that grows without bounds."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.dialect.steady import Unsteady, check_steady
from tests.support.processes import spends_less

_ATOMS = ("a", "b", "[ab]", "[0-9]", r"\d", r"\w", ".", "[^a]", "-", r"\.", "(ab)", "(a|b)", "(a|ab)", "x")
_COUNTS = ("", "", "+", "*", "?", "{2}", "{1,3}", "{2,}")


def patterns() -> st.SearchStrategy[str]:
    """Patterns as people write them, of atoms that repeat, in groups that repeat."""
    leaf = st.tuples(st.sampled_from(_ATOMS), st.sampled_from(_COUNTS)).map("".join)
    return st.recursive(
        leaf,
        lambda inner: (
            st.tuples(st.lists(inner, min_size=1, max_size=4).map("".join), st.sampled_from(_COUNTS)).map(
                lambda part: f"({part[0]}){part[1]}"
            )
            | st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"({'|'.join(parts)})")
        ),
        max_leaves=8,
    )


@given(patterns(), st.text("ab0-.x", min_size=1, max_size=6), st.text("ab0-.x!", max_size=3))
@settings(max_examples=150, deadline=None)
def test_what_is_let_through_is_fast_on_whatever_repeats(pattern: str, unit: str, end: str) -> None:
    try:
        compiled = check_steady(pattern)
    except Unsteady:
        return
    assert spends_less(0.1, lambda: compiled.fullmatch((unit * 200)[:200] + end)), pattern


@pytest.mark.parametrize(
    "pattern",
    [
        r"(?P<company>[0-9]+)\.(?P<product>[0-9]+)\.(?P<serial>[0-9A-Z]+)",
        r"(?P<product>[A-Z]{3})(-(?P<lot>\w+))?/(?P<serial>\w+)",
        r"^SN:(?P<product>[^:]+):(?P<serial>[0-9]{1,18})$",
        r"(ab|cd)+x",
        r"((x,)*y;)*z",
    ],
)
def test_patterns_of_codes_are_let_through(pattern: str) -> None:
    assert check_steady(pattern).pattern == pattern


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(a+)+b", "more than one way"),
        ("(a|a)*b", "more than one way"),
        ("(a|ab)*b", "more than one way"),
        (r"\d*\d*\d*x", "more than one way"),
        ("(.+)z", "more than one way"),
        ("(b(b(b(b(bx)+)+)+)+)+", "more than one way"),
        ("(a?)*b", "repeats what may be empty"),
        (r"(a)\1", "uses groupref"),
        ("a(?=b)", "uses assert"),
        ("a+?b", "uses min repeat"),
        ("(?i)abc", "changes flags"),
        ("(?i:a)bc", "changes flags"),
        ("(", "is no regular expression"),
        ("a{99999999999}", "is no regular expression"),
        ("(" * 90 + "a" + ")" * 90, "groups in more than 20 groups"),
        ("(" * 250 + "+" * 250, "is no regular expression"),
    ],
)
def test_others_are_refused_with_the_reason(pattern: str, why: str) -> None:
    def refused() -> None:
        with pytest.raises(Unsteady) as raised:
            check_steady(pattern)
        assert why in str(raised.value)

    assert spends_less(1, refused)


def test_the_plain_engine_would_be_caught() -> None:
    begun = time.process_time()
    re.compile("(a|a?)*b").fullmatch("a" * 20)  # 2^20 ways
    assert time.process_time() - begun > 0.005
