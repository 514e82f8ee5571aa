"""The words in which events are told: those of the model, or those of a network that has others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from service.events.vocabulary import EVENT_TYPES, LEVELS, STEP_CODE, TYPE_CODE


@dataclass(frozen=True, slots=True, eq=False)
class Wording:
    """What event types, business steps and codes are called."""

    types: Mapping[str, int]  # lower case: code of the event type
    steps: Mapping[str, int]  # lower case: level
    type_names: Sequence[str]  # by code, "" for the unknown one at the end
    step_names: Sequence[str]  # by level, the same
    codes: Callable[[Sequence[str]], list[str]] | None = None  # makes EPC codes of theirs; None: theirs are such


OWN_WORDS = Wording(TYPE_CODE, STEP_CODE, (*EVENT_TYPES, ""), (*LEVELS, ""))
"""Those of the model."""
