"""What a round may do: steps, and what is held back with the reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from service.operate.seen import Situation
from service.operate.settings import OperateSettings
from service.operate.severity import Severity
from service.operate.state import OperateState


class What(StrEnum):
    """What a step does."""

    TRAFFIC = "traffic"  # sets the shares of the files
    LOAD = "load"  # makes a version the challenger
    PROMOTE = "promote"
    ROLLBACK = "rollback"
    RETRAIN = "retrain"
    ADOPT = "adopt"  # rolls the tables on


@dataclass(frozen=True, slots=True)
class ResponseStep:
    """One thing to do."""

    what: What
    why: str
    at_once: bool  # or it is said, and somebody may do it
    traffic: str = ""  # of TRAFFIC, see `service.detect.traffic`
    version: int = 0  # of LOAD and PROMOTE

    @property
    def key(self) -> str:
        """What it is, without why: a suggestion is said once."""
        return " ".join(filter(None, (self.what, self.traffic, str(self.version or ""))))


@dataclass(frozen=True, slots=True)
class Held:
    """Something that would be done, and why it is not yet."""

    what: What
    why: str


Response: TypeAlias = Callable[[Situation, Severity, OperateState, OperateSettings], list[ResponseStep | Held]]
"""Decides on one thing; a function of its arguments alone."""
