"""Words of old callers, and what they mean: a table that can be configured, ``data/aliases.toml`` if it is not."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from service.errors import SettingsError, in_words
from service.events.vocabulary import LEVELS, STEP_CODE, TYPE_CODE

BUNDLED = Path(__file__).parents[1] / "data" / "aliases.toml"

_T = TypeVar("_T")

_SEPARATORS_OF_A_CODE = 5


class _Codes(BaseModel):
    model_config = ConfigDict(extra="forbid")

    separators: str = Field(default="", max_length=16)


class Aliases(BaseModel):
    """The table: steps by their aliases, types by theirs or by theirs and the step, marks for the dots of codes."""

    model_config = ConfigDict(extra="forbid")

    business_step: dict[str, str] = {}
    event_type: dict[str, str | dict[str, str]] = {}
    epc_code: _Codes = _Codes()

    @field_validator("business_step")
    @classmethod
    def _steps(cls, table: dict[str, str]) -> dict[str, str]:
        for step in table.values():
            _known(step, STEP_CODE, "business step")
        return _folded(table)

    @field_validator("event_type")
    @classmethod
    def _types(cls, table: dict[str, str | dict[str, str]]) -> dict[str, str | dict[str, str]]:
        for meaning in table.values():
            for event_type in [meaning] if isinstance(meaning, str) else meaning.values():
                _known(event_type, TYPE_CODE, "event type")
            for step in () if isinstance(meaning, str) else meaning:
                _known(step, STEP_CODE, "business step")
        return _folded({alias: one if isinstance(one, str) else _folded(one) for alias, one in table.items()})

    @classmethod
    def read(cls, path: Path | None) -> Self:
        """Return the table of a file, the bundled one if there is none.

        Raises:
            SettingsError: the file cannot be read or used.
        """
        try:
            return cls.model_validate(tomllib.loads((path or BUNDLED).read_text(encoding="utf-8")))
        except OSError as error:
            raise SettingsError(f"--aliases: cannot read {path}: {error.strerror}") from None
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where, why = ".".join(map(str, first["loc"])), in_words(first["msg"])
            raise SettingsError(f"--aliases {path}: {where}: {why}") from None
        except ValueError as error:  # no TOML, no UTF-8
            raise SettingsError(f"--aliases {path}: {' '.join(str(error).split())}") from None

    def step(self, name: str) -> str:
        """Return the business step that a name means: itself, if the table says nothing of it."""
        return self.business_step.get(name.strip().lower(), name)

    def type(self, name: str, step: str) -> str:
        """Return the event type that a name means at a step, which is no alias any more."""
        meaning = self.event_type.get(name.strip().lower(), name)
        if isinstance(meaning, str):
            return meaning
        at = step.strip().lower()
        level = LEVELS[STEP_CODE[at]].lower() if at in STEP_CODE else ""
        return meaning.get(at, meaning.get(level, name))

    def code(self, text: str) -> str:
        """Return the code with dots between its parts, if one of the separators is there in their place."""
        if "." in text:
            return text
        for mark in self.epc_code.separators:
            if text.count(mark) == _SEPARATORS_OF_A_CODE:
                return text.replace(mark, ".")
        return text


def _folded(table: Mapping[str, _T]) -> dict[str, _T]:
    return {name.strip().lower(): meaning for name, meaning in table.items()}


def _known(name: str, words: Mapping[str, int], what: str) -> None:
    if name.strip().lower() not in words:
        raise ValueError(f"{name!r} is no {what}, which are {', '.join(words)}")
