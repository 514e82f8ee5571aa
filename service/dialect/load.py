"""The file ``network.toml`` that says how a network writes its events."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from service.dialect.dialect import Dialect
from service.errors import SettingsError

_SCHEMES = {"dotted", "dashed", "gs1", "pattern"}
_SHOWN = 3
_MOST_BYTES = 1_000_000
_MOST_LETTERS = 80  # of a key in a message
_SCHEME = f"its scheme is not there or unknown; write scheme = one of {', '.join(sorted(_SCHEMES))}"
_SAID = {
    "extra_forbidden": "there is no such setting; remove it",
    "union_tag_invalid": _SCHEME,
    "union_tag_not_found": _SCHEME,
    "missing": "is missing; give it",
    "string_pattern_mismatch": "is '{}'; write 6 to 12 digits in quotes",
    "list_type": 'is no list; write ["…", "…"]',
    "string_type": "is no text; write it in quotes",
    "string_too_long": "is longer than {max_length} characters; shorten it",
    "too_long": "has more than {max_length} entries; name fewer",
    "literal_error": "is none of these; write {expected}",
    "dict_type": "is no table; write it as [table] with a line for each name",
    "model_type": "is no table; write it as [table] with a line for each name",
}
"""What is wrong and how to fix it, by pydantic's types of errors."""


def load_dialect(path: Path) -> Dialect:
    """Return what a file says.

    Raises:
        SettingsError: it cannot be read, is no TOML, or a setting is unknown or cannot be used; the message names it.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}; --network takes a file such as network.toml") from None
    if len(content) > _MOST_BYTES:
        raise SettingsError(f"{path}: larger than {_MOST_BYTES:,} bytes; it has columns, words and a scheme alone")
    try:
        told = tomllib.loads(content.decode("utf-8-sig").replace("\r\n", "\n"))
    except RecursionError:
        raise SettingsError(f"{path}: no TOML: lists or tables lie too deep in each other; write it flatter") from None
    except ValueError as error:  # of the TOML, of UTF-8, and of numbers with thousands of digits
        raise SettingsError(f"{path}: no TOML: {error}") from None
    try:
        return Dialect.model_validate(told)
    except ValidationError as error:
        problems = [_told(problem["loc"], problem) for problem in error.errors()]
        more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise SettingsError(f"{path}: {'; '.join(problems[:_SHOWN])}{more}") from None


def _told(where: Sequence[str | int], problem: Any) -> str:  # noqa: ANN401 - pydantic's own typed dict
    """Return key, what is wrong and how to fix it."""
    names = [str(part) for at, part in enumerate(where) if not (at == 1 and where[0] == "codes" and part in _SCHEMES)]
    is_key = names[-1:] == ["[key]"]
    key = ".".join(map(_readable, names[:-1] if is_key else names))
    if problem["type"] == "value_error":
        reason = str(problem["ctx"]["error"])
    elif problem["type"] in _SAID:
        reason = _SAID[problem["type"]].format(_readable(str(problem["input"])), **problem.get("ctx", {}))
    else:
        reason = problem["msg"][:1].lower() + problem["msg"][1:]
    return f"{key}: {reason}" if key else reason


def _readable(text: str) -> str:
    """Return a text of the file, short and without what could steer a terminal."""
    shown = text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
    return shown if len(shown) <= _MOST_LETTERS else f"{shown[:_MOST_LETTERS]}.."
