"""The states of versions: what the entries of the promotion log add up to.

    load          any version            -> challenger (the one before it is archived)
    promote       any but the champion   -> champion   (the champion before it is the previous one)
    rollback      the previous version   -> champion   (the champion before it is archived)
    delete        a version of no state  -> deleted    (its number is never used again)
    traffic       no version moves: which detectors and versions get which share of the files

There is one champion, at most one challenger and one previous version; every other version that the log names is
archived. A state is never stored: it is read off the log, so that no crash leaves the two at odds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from service.errors import NotInThisState

EMERGENCY = "emergency fallback"
"""How the reason of an entry begins that gives the network's files to the rules because it has failed."""


class ModelState(StrEnum):
    """What a version of the model is to the gateways."""

    CHAMPION = "champion"  # judges
    CHALLENGER = "challenger"  # is loaded beside it, to be compared
    PREVIOUS = "previous"  # judged before, and is kept ready for a rollback
    ARCHIVED = "archived"  # was one of these
    NONE = "none"  # was never loaded


class Action(StrEnum):
    """What an entry of the log does."""

    LOAD = "load"
    PROMOTE = "promote"
    ROLLBACK = "rollback"
    DELETE = "delete"
    TRAFFIC = "traffic"


class Entry(BaseModel):
    """One line of the promotion log."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    number: int = Field(ge=1)  # of the entry, without gaps
    at: str  # ISO 8601, UTC
    who: str
    action: Annotated[Action, Field(strict=False)]
    version: int = Field(ge=0)  # the version that it moves; 0 of traffic
    why: str
    manifest_sha256: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")] = ""  # of that version
    traffic: str = ""  # the shares, see `service.detect.traffic`
    before: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")] = ""  # SHA-256 of the line before


@dataclass(frozen=True, slots=True)
class Standing:
    """What all entries up to one add up to."""

    number: int = 0  # of the last entry
    champions: tuple[int, ...] = ()  # in the order in which they were promoted, those rolled back left out
    challenger: int | None = None
    named: frozenset[int] = frozenset()  # versions that were ever moved, deleted ones left out
    deleted: frozenset[int] = frozenset()
    traffic: str = ""
    emergency: bool = False  # the shares are those of an emergency

    @property
    def champion(self) -> int | None:
        """The version that judges."""
        return self.champions[-1] if self.champions else None

    @property
    def previous(self) -> int | None:
        """The version that a rollback brings back."""
        return self.champions[-2] if len(self.champions) > 1 else None

    @property
    def kept(self) -> list[int]:
        """The versions that gateways keep ready, the champion first."""
        wanted = (self.champion, self.challenger, self.previous)
        return [version for version in wanted if version is not None]

    def state(self, version: int) -> ModelState:
        """Return the state of a version."""
        if version == self.champion:
            return ModelState.CHAMPION
        if version == self.challenger:
            return ModelState.CHALLENGER
        if version == self.previous:
            return ModelState.PREVIOUS
        return ModelState.ARCHIVED if version in self.named else ModelState.NONE

    def check(self, action: Action, version: int) -> None:
        """Raise NotInThisState if the version cannot be moved so."""
        if reason := self._refusal(action, version):
            raise NotInThisState(reason)

    def _refusal(self, action: Action, version: int) -> str:
        if action != Action.TRAFFIC and version in self.deleted:
            return f"version {version} was deleted; its number is never used again"
        if action in (Action.LOAD, Action.PROMOTE) and version == self.champion:
            return f"version {version} is the champion already"
        if action == Action.ROLLBACK and self.previous is None:
            return "there is no previous version to go back to"
        if action == Action.ROLLBACK and version != self.previous:
            return f"a rollback goes to the previous version, {self.previous}; promote version {version} instead"
        if action == Action.DELETE and (state := self.state(version)) != ModelState.NONE:
            what = "the log of promotions names it" if state == ModelState.ARCHIVED else f"it is the {state}"
            return f"version {version} cannot be deleted: {what}"
        return ""

    def after(self, entry: Entry) -> Standing:
        """Return the standing after one more entry.

        Raises:
            NotInThisState: the entry cannot follow.
        """
        self.check(entry.action, entry.version)
        base = replace(self, number=entry.number)
        match entry.action:
            case Action.TRAFFIC:
                return replace(base, traffic=entry.traffic, emergency=entry.why.startswith(EMERGENCY))
            case Action.DELETE:
                return replace(base, deleted=self.deleted | {entry.version})
            case Action.LOAD:
                return replace(base, challenger=entry.version, named=self.named | {entry.version})
            case Action.PROMOTE:
                challenger = None if entry.version == self.challenger else self.challenger
                champions = (*self.champions, entry.version)
                return replace(base, champions=champions, challenger=challenger, named=self.named | {entry.version})
            case Action.ROLLBACK:
                return replace(base, champions=self.champions[:-1])


def standing_of(entries: Iterable[Entry]) -> Standing:
    """Return what the entries add up to."""
    standing = Standing()
    for entry in entries:
        standing = standing.after(entry)
    return standing
