"""Scan events as columns: the one form in which events travel between the boundary, the features and the detectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from service.events.codes import bare, without_dirt
from service.events.vocabulary import UNKNOWN
from service.events.words import OWN_WORDS, Wording
from service.runtime.threads import give_way

_SLICE = 1_000
"""Texts that are numbered at once: no other thread waits for the interpreter longer than that takes, 0.1 ms."""

_Code = TypeVar("_Code", bound=np.integer)


@dataclass(frozen=True, slots=True, eq=False)
class Spelling:
    """The codes of N events as they were sent, where something was around them, or where they are of another scheme."""

    texts: Sequence[str]  # distinct
    clean: Sequence[str]  # each without what was around it, as `codes.without_dirt` leaves it out
    of: NDArray[np.int32]  # [N] index into both

    @property
    def is_dirty(self) -> NDArray[np.bool_]:
        """Which events [N] were sent with something around their codes."""
        changed = [text != code for text, code in zip(self.texts, self.clean, strict=True)]
        return np.array(changed, dtype=np.bool_)[self.of]

    def warning(self, rows: NDArray[np.bool_]) -> str:
        """Return in one sentence what was left out around the codes of the events ``rows``, "" if nothing was."""
        dirty = rows & self.is_dirty
        if not dirty.any():
            return ""
        most = int(np.bincount(self.of[dirty]).argmax())
        before, _, behind = self.texts[most].partition(self.clean[most])
        where = " and ".join(f"{dirt!a} {side}" for dirt, side in ((before, "before"), (behind, "behind")) if dirt)
        return (
            f"{int(dirty.sum())} of {int(rows.sum())} events have codes with dirt of their transport around"
            f" ({where}, for one): it was left out."
        )


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """N scan events as columns, in the order of the request or file.

    Codes are kept once per distinct EPC (U of them): ``epc_codes[epc[i]]`` is the code of event i.
    """

    event_id: NDArray[np.int64]  # [N] the caller's ids, unique
    epc: NDArray[np.int32]  # [N] index into epc_codes
    epc_codes: Sequence[str]  # [U] distinct codes, damaged ones included
    location_id: NDArray[np.int64]  # [N]
    step: NDArray[np.int8]  # [N] level of the business step, UNKNOWN if not in LEVELS
    event_type: NDArray[np.int8]  # [N] code of the event type, UNKNOWN if not in EVENT_TYPES
    time_us: NDArray[np.int64]  # [N] microseconds since 1970-01-01 UTC
    file_id: NDArray[np.int64]  # [N]
    spelling: Spelling | None = None  # as the codes were sent, None if that is how they are

    def __len__(self) -> int:
        return len(self.event_id)

    def sent_codes(self, at: NDArray[np.intp]) -> list[str]:
        """Return the codes of the events at ``at`` as they were sent: by these the sender knows the items."""
        if self.spelling is None:
            return [self.epc_codes[code] for code in self.epc[at].tolist()]
        return [self.spelling.texts[text] for text in self.spelling.of[at].tolist()]

    def bare_codes(self, at: NDArray[np.intp]) -> list[str]:
        """Return the same without what was around them."""
        if self.spelling is None:
            return self.sent_codes(at)
        return [self.spelling.clean[text] for text in self.spelling.of[at].tolist()]

    def take(self, index: NDArray[np.intp] | NDArray[np.bool_]) -> Events:
        """Return the events at ``index`` (positions or a mask), codes of absent EPCs dropped."""
        used, epc = np.unique(self.epc[index], return_inverse=True)
        return Events(
            event_id=self.event_id[index],
            epc=epc.astype(np.int32),
            epc_codes=[self.epc_codes[code] for code in used.tolist()],
            location_id=self.location_id[index],
            step=self.step[index],
            event_type=self.event_type[index],
            time_us=self.time_us[index],
            file_id=self.file_id[index],
            spelling=self.spelling and replace(self.spelling, of=self.spelling.of[index]),
        )


def code_columns(
    texts: Sequence[str], words: Wording = OWN_WORDS
) -> tuple[NDArray[np.int32], list[str], Spelling | None]:
    """Return (epc [N], epc_codes [U], spelling) of codes [N] as they were sent, see `codes.without_dirt`."""
    return clean_codes(*factorize(texts), words)


def clean_codes(
    sent: NDArray[np.int32], distinct: list[str], words: Wording = OWN_WORDS
) -> tuple[NDArray[np.int32], list[str], Spelling | None]:
    """Return the same for codes that are given as `factorize` gives them."""
    if words.codes is not None:
        clean = [bare(code) for code in distinct]
        epc, codes = factorize(words.codes(clean))
        return epc[sent], codes, Spelling(distinct, clean, sent)
    if (without := without_dirt(distinct)) is None:
        return sent, distinct, None
    epc, codes = factorize(without)
    return epc[sent], codes, Spelling(distinct, without, sent)


def factorize(values: Sequence[str]) -> tuple[NDArray[np.int32], list[str]]:
    """Return (index [N] into the distinct values, the U distinct values in order of first appearance)."""
    distinct = _distinct(values)
    code_of = dict(zip(distinct, range(len(distinct)), strict=True))
    return _codes(values, code_of, np.int32), distinct


def type_codes(names: Sequence[str], words: Wording = OWN_WORDS) -> NDArray[np.int8]:
    """Return the code [N] of each event type name (case and outer blanks ignored), UNKNOWN if there is none."""
    return _lookup(names, words.types)


def step_codes(names: Sequence[str], words: Wording = OWN_WORDS) -> NDArray[np.int8]:
    """Return the level [N] of each business step name (case and outer blanks ignored), else UNKNOWN."""
    return _lookup(names, words.steps)


def _lookup(names: Sequence[str], code_of: Mapping[str, int]) -> NDArray[np.int8]:
    return _codes(names, {name: code_of.get(name.strip().lower(), UNKNOWN) for name in _distinct(names)}, np.int8)


def _distinct(values: Sequence[str]) -> list[str]:
    """Return the distinct values in order of first appearance."""
    distinct: dict[str, None] = {}
    for begin in range(0, len(values), _SLICE):
        give_way()
        distinct |= dict.fromkeys(values[begin : begin + _SLICE])
    return list(distinct)


def _codes(values: Sequence[str], code_of: dict[str, int], dtype: type[_Code]) -> NDArray[_Code]:
    """Return the code [N] of each value."""
    codes = np.empty(len(values), dtype=dtype)
    for begin in range(0, len(values), _SLICE):
        give_way()
        part = values[begin : begin + _SLICE]
        codes[begin : begin + len(part)] = np.fromiter(map(code_of.__getitem__, part), dtype=dtype, count=len(part))
    return codes
