"""How one network writes its events: the columns of its files, its words, the scheme of its codes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from service.dialect import dashed, gs1, pattern
from service.dialect.malformed import Malformed
from service.dialect.steady import Unsteady, check_steady
from service.events.codes import CODE_LENGTH
from service.events.foreign import MARK, guarded
from service.events.vocabulary import EVENT_TYPES, LEVEL_OF_TYPE, LEVELS, TYPES
from service.events.words import OWN_WORDS, Wording

COLUMNS = (
    "epc_code",
    "location_id",
    "business_step",
    "event_type",
    "event_time",
    "event_id",
    "file_id",
    "scan_location",
)
"""The columns of raw files that may have other names."""


def _one_of(names: Sequence[str]) -> AfterValidator:
    def check(name: str) -> str:
        if name not in names:
            raise ValueError(f"the model has no such name; write one of {', '.join(names)}")
        return name

    return AfterValidator(check)


_Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
_WordList = Annotated[list[_Word], Field(min_length=1, max_length=1_000)]
_MOST_LETTERS = 500


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class DottedCodes(_Strict):
    """header.company.product.lot.date.serial."""

    scheme: Literal["dotted"] = "dotted"


class DashedCodes(_Strict):
    """The same with dashes."""

    scheme: Literal["dashed"]


class Gs1Codes(_Strict):
    """GTINs with serials, see `gs1`."""

    scheme: Literal["gs1"]
    company_prefixes: Annotated[
        list[Annotated[str, StringConstraints(pattern=r"^[0-9]{6,12}$")]], Field(max_length=10_000)
    ] = []

    @cached_property
    def longest_first(self) -> list[str]:
        """The company prefixes, longest first."""
        return sorted(self.company_prefixes, key=len, reverse=True)


class PatternCodes(_Strict):
    """Codes of a form of the network's own, see `pattern`."""

    scheme: Literal["pattern"]
    pattern: Annotated[str, StringConstraints(min_length=1, max_length=_MOST_LETTERS)]
    date_format: Literal["YYYYMMDD", "YYMMDD", "DDMMYYYY", "DDMMYY"] = "YYYYMMDD"
    unique: list[Literal["product", "lot"]] = []

    @field_validator("pattern")
    @classmethod
    def _is_steady(cls, value: str) -> str:
        try:
            problem = pattern.group_problem(check_steady(value))
        except Unsteady as why:
            problem = str(why)
        if problem:
            raise ValueError(problem)
        return value

    @cached_property
    def compiled(self) -> re.Pattern[str]:
        """The pattern, for `re.Pattern.fullmatch`."""
        return re.compile(self.pattern, re.ASCII)


class Dialect(_Strict):
    """What a ``network.toml`` says."""

    columns: dict[Annotated[str, _one_of(COLUMNS)], _Word] = {}  # what the files call a column
    steps: dict[Annotated[str, _one_of(LEVELS)], _WordList] | None = None  # what it calls a level; None: as the model
    event_types: dict[Annotated[str, _one_of(EVENT_TYPES)], _WordList] | None = None  # what it calls a type; the same
    codes: Annotated[DottedCodes | DashedCodes | Gs1Codes | PatternCodes, Field(discriminator="scheme")] = DottedCodes()

    @model_validator(mode="after")
    def _is_clear(self) -> Self:
        for table, words in (("steps", self.steps), ("event_types", self.event_types)):
            meaning: dict[str, str] = {}
            for name, word in _pairs(words or {}):
                other = meaning.setdefault(word, name)
                if other != name:
                    raise ValueError(f"{table}: {word!r} stands for {other} and for {name}; give it to one of them")
        if len({name.lower() for name in self.columns.values()}) < len(self.columns):
            raise ValueError("columns: two columns of the model are the same one of the files; name each once")
        return self

    @cached_property
    def words(self) -> Wording:
        """The words and codes of the network, for whoever makes columns of events."""
        types, type_names = _vocabulary(self.event_types, EVENT_TYPES, OWN_WORDS.types)
        steps, step_names = _vocabulary(self.steps, LEVELS, OWN_WORDS.steps)
        codes = None if isinstance(self.codes, DottedCodes) else self._epc_codes
        return Wording(types, steps, type_names, step_names, codes)

    @cached_property
    def levels(self) -> tuple[int, ...]:
        """The levels that the network has: those that one of its words or types is of; all where it gives none."""
        if self.steps is None and self.event_types is None:
            return tuple(range(len(LEVELS)))
        of_types = {int(LEVEL_OF_TYPE[EVENT_TYPES.index(name)]) for name in self.event_types or {}}
        return tuple(sorted(of_types | {LEVELS.index(name) for name in self.steps or {}}))

    def ranks(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return the places of the levels [LEVELS] and types [TYPES] along the journeys of the network.

        What it does not have takes no place, so that passing over it is one step, and skips nothing.
        """
        has = np.isin(np.arange(len(LEVELS)), self.levels)
        of_type = np.append(has[LEVEL_OF_TYPE[:-1]], True)
        return (np.cumsum(has) - has).astype(np.int32), (np.cumsum(of_type) - of_type).astype(np.int32)

    def why_malformed(self, code: str) -> Malformed | None:
        """Return why a code, without dirt around it, is none of the scheme; None if it is, or the scheme is dotted."""
        if isinstance(self.codes, DottedCodes):
            return None
        try:
            self._epc_code(code)
        except Malformed as why:
            return why
        return None

    def _epc_codes(self, codes: Sequence[str]) -> list[str]:
        return [self._epc_code_or_text(code) for code in codes]

    def _epc_code_or_text(self, code: str) -> str:
        try:
            return self._epc_code(code)
        except Malformed:
            return guarded(code) if len(code) == CODE_LENGTH or code[:1] == MARK else code

    @cached_property
    def _epc_code(self) -> Callable[[str], str]:
        """What returns the EPC code of one of the scheme, or raises Malformed."""
        match self.codes:
            case Gs1Codes() as codes:
                prefixes = codes.longest_first
                return lambda code: gs1.parts_of(code, prefixes).text()
            case PatternCodes() as codes:
                compiled, form, unique = codes.compiled, codes.date_format, frozenset(codes.unique)
                return lambda code: pattern.parts_of(code, compiled, form, unique).text()
            case _:
                return dashed.epc_code


def _pairs(words: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    for name, of_name in words.items():
        yield from ((name, word.lower()) for word in of_name)


def _vocabulary(
    words: Mapping[str, Sequence[str]] | None, names: Sequence[str], own: Mapping[str, int]
) -> tuple[Mapping[str, int], Sequence[str]]:
    """Return (the code of each word, the first word of each code, "" where there is none and for the unknown)."""
    if words is None:
        return own, (*names, "")
    said = [words[name][0] if name in words else "" for name in names]
    return {word: names.index(name) for name, word in _pairs(words)}, (*said, "")


def ranks(dialect: Dialect | None) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return `Dialect.ranks`; without a dialect each level and type takes its own place."""
    if dialect is None:
        return np.arange(len(LEVELS), dtype=np.int32), np.arange(TYPES, dtype=np.int32)
    return dialect.ranks()


def words_of(dialect: Dialect | None) -> Wording:
    """Return the words of a dialect, those of the model without one."""
    return OWN_WORDS if dialect is None else dialect.words
