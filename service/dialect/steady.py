"""Is a regular expression read in one go, however a text was made up to slow it down?

It is where no letter can be read in two ways: what may repeat, or be missing, begins with other letters than what
comes next, and so do alternatives. Then whoever matches never goes back further than to the last choice, and the time
is proportional to the length of the text. Patterns of codes are easily written so; others are refused with the place.
Linear engines (RE2) would take any pattern, and are a compiled dependency more.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

_ASCII = range(128)
_OTHERS = 0x4E2D
"""Stands for all letters that are not ASCII."""

_SHOWN = 12
_MOST_GROUPS = 20

_ONE_LETTER = {"LITERAL", "NOT_LITERAL", "ANY", "IN"}
_REPEATS = {"MAX_REPEAT", "POSSESSIVE_REPEAT"}
_ENDS = {"AT_BEGINNING", "AT_END", "AT_BEGINNING_STRING", "AT_END_STRING"}

Letters = frozenset[int]


class Unsteady(ValueError):
    """A regular expression may take a time that grows without bounds, or uses what cannot be told."""


def check_steady(pattern: str) -> re.Pattern[str]:
    """Return a pattern, compiled for ASCII digits and letters.

    Raises:
        Unsteady: it may be slow, or is no regular expression; the message says where.
    """
    try:
        compiled = re.compile(pattern, re.ASCII)
        tree = _parser().parse(pattern, re.ASCII)
    except (re.error, OverflowError, RecursionError) as error:
        raise Unsteady(f"is no regular expression: {error}") from None
    if compiled.flags != re.ASCII:
        raise Unsteady("changes flags: leave (?i) and the like out")
    _check(list(tree), frozenset())
    return compiled


def _parser() -> Any:  # noqa: ANN401 - the tree of the standard library has no types
    return vars(re)["_parser"]  # what `re.compile` itself reads a pattern with


def _check(items: Sequence[Any], behind: Letters, depth: int = 0) -> None:
    """Check a sequence that ``behind`` may follow, from its end on; it is in so many groups."""
    if depth > _MOST_GROUPS:
        raise Unsteady(f"has groups in more than {_MOST_GROUPS} groups: write it flatter")
    follow = behind
    for item in reversed(items):
        _check_item(item, follow, depth + 1)
        first = _begins(item)
        follow = first | follow if _may_be_empty(item) else first


def _check_item(item: Any, follow: Letters, depth: int) -> None:  # noqa: ANN401 - as above
    name, value = str(item[0]), item[1]
    if name in _REPEATS:
        _check_repeat(value[0], int(value[1]), list(value[2]), follow, depth)
    elif name == "SUBPATTERN":
        if value[1] or value[2]:
            raise Unsteady("changes flags: leave (?i) and the like out")
        _check(list(value[3]), follow, depth)
    elif name == "BRANCH":
        before: Letters = frozenset()
        for branch in map(list, value[1]):
            first = _first(branch) | (follow if all(map(_may_be_empty, branch)) else frozenset())
            _check_apart(before, first, "two alternatives")
            before |= first
            _check(branch, follow, depth)
    elif name not in _ONE_LETTER and not (name == "AT" and str(value) in _ENDS):
        raise Unsteady(
            f"uses {name.lower().replace('_', ' ')}: write it with letters, [classes], groups, | and greedy repeats"
            " alone"
        )


def _check_repeat(least: int, most: int, body: Sequence[Any], follow: Letters, depth: int) -> None:
    begins = _first(body)
    if all(map(_may_be_empty, body)):
        raise Unsteady("repeats what may be empty: repeat only what has a letter at least")
    if least != most:
        _check_apart(begins, follow, "what may repeat or be missing and what comes next")
    _check(body, follow | begins if most > 1 else follow, depth)


def _first(items: Sequence[Any]) -> Letters:
    """Return the letters that a sequence may begin with."""
    found: Letters = frozenset()
    for item in items:
        found |= _begins(item)
        if not _may_be_empty(item):
            break
    return found


def _begins(item: Any) -> Letters:  # noqa: ANN401 - as above
    name, value = str(item[0]), item[1]
    if name in _ONE_LETTER:
        return _letters(name, value)
    if name in _REPEATS:
        return _first(list(value[2]))
    if name == "SUBPATTERN":
        return _first(list(value[3]))
    if name == "BRANCH":
        return frozenset[int]().union(*(_first(list(branch)) for branch in value[1]))
    return frozenset()


def _may_be_empty(item: Any) -> bool:  # noqa: ANN401 - as above
    name, value = str(item[0]), item[1]
    if name in _REPEATS:
        return value[0] == 0 or all(map(_may_be_empty, value[2]))
    if name == "SUBPATTERN":
        return all(map(_may_be_empty, value[3]))
    if name == "BRANCH":
        return any(all(map(_may_be_empty, branch)) for branch in value[1])
    return name not in _ONE_LETTER


def _check_apart(one: Letters, other: Letters, what: str) -> None:
    if common := one & other:
        shown = "".join(chr(letter) for letter in sorted(common)[:_SHOWN] if chr(letter).isprintable())
        raise Unsteady(
            f"may be read in more than one way: {what} can both begin with {shown!r}; put a letter that only one of"
            " them can have between them, or say how many there are: [0-9]{7}"
        )


def _letters(name: str, value: Any) -> Letters:  # noqa: ANN401 - as above
    every = frozenset({*_ASCII, _OTHERS})
    if name == "ANY":
        return every
    if name in {"LITERAL", "NOT_LITERAL"}:
        one = frozenset({value if value in _ASCII else _OTHERS})
        return one if name == "LITERAL" else (every - one) | {_OTHERS}
    is_negated = bool(value) and str(value[0][0]) == "NEGATE"
    members = frozenset[int]().union(*(_members(str(kind), what) for kind, what in value if str(kind) != "NEGATE"))
    return (every - members) | {_OTHERS} if is_negated else members


def _members(kind: str, value: Any) -> Letters:  # noqa: ANN401 - as above
    if kind == "LITERAL":
        return frozenset({value if value in _ASCII else _OTHERS})
    if kind == "RANGE":
        low, high = value
        return frozenset(range(low, min(high, 127) + 1)) | (frozenset({_OTHERS}) if high > 127 else frozenset())
    word = re.compile({"DIGIT": r"\d", "SPACE": r"\s", "WORD": r"\w"}[str(value).rpartition("_")[2]], re.ASCII)
    found = frozenset(letter for letter in _ASCII if word.match(chr(letter)))
    return (frozenset(_ASCII) - found) | {_OTHERS} if "NOT" in str(value) else found
