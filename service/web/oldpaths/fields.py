"""The fields of events in JSON, column by column, in either spelling: what is wrong is named by its field."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from service.rawfiles.times import has_zone, time_us
from service.web.problems import FieldFault

MOST_ID = 2**53
"""From here on JavaScript, and every reader of JSON by doubles, rounds."""

_WHOLE = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_T = TypeVar("_T")


@dataclass
class EventFields:
    """Reads the columns of events; what cannot be used is collected."""

    rows: Sequence[dict[str, Any]]
    faults: list[FieldFault] = field(default_factory=list)

    def values(self, snake: str) -> list[Any]:
        """Return the values of a field [N], None where it is missing or null."""
        camel = _camel(snake)
        found = [row.get(snake) for row in self.rows]
        if camel == snake or not any(camel in row for row in self.rows):
            return found
        for at, row in enumerate(self.rows):
            if (other := row.get(camel)) is None:
                continue
            if found[at] is not None and found[at] != other:
                self.fault(at, snake, f"is there twice, as {snake} and as {camel}, with two values: send one of them")
            found[at] = other
        return found

    def ids(self, snake: str, missing: int | None = None) -> list[int]:
        """Return the ids of a field [N]; ``missing`` where there is none, an error if that is None."""
        values = self.values(snake)
        if all(type(value) is int and -MOST_ID < value < MOST_ID for value in values):
            return values
        return [self._one(at, snake, value, missing) for at, value in enumerate(values)]

    def _one(self, at: int, snake: str, value: Any, missing: int | None) -> int:  # noqa: ANN401 - any JSON
        if value is None:
            if missing is None:
                self.fault(at, snake, "is missing: send a whole number")
            return missing or 0
        read = whole(value)
        if read is None:
            self.fault(at, snake, f"{_shown(value)} is no whole number")
        return self.bounded(at, snake, read or 0, value)

    def bounded(self, at: int, snake: str, read: int, value: object) -> int:
        """Return an id, sent as ``value``; 0 for one that is refused."""
        if -MOST_ID < read < MOST_ID:
            return read
        self.fault(at, snake, f"{_shown(value)} is beyond 2^53, where readers of JSON begin to round")
        return 0

    def texts(self, snake: str) -> list[str]:
        """Return the texts of a field [N], "" where there is none."""
        values = self.values(snake)
        if all(type(value) is str for value in values):
            return values
        return [self._text(at, snake, value) for at, value in enumerate(values)]

    def _text(self, at: int, snake: str, value: Any) -> str:  # noqa: ANN401
        if value is None or isinstance(value, str):
            return value or ""
        self.fault(at, snake, f"{_shown(value)} is no text")
        return ""

    def times(self, snake: str) -> tuple[list[int], list[bool]]:
        """Return (microseconds since 1970 [N], whether each is an instant, rather than what a clock showed)."""
        micros, zoned = [], []
        for at, value in enumerate(self.values(snake)):
            text = str(value) if type(value) is int else value
            read = time_us(text) if isinstance(text, str) else None
            if read is None:
                why = "is missing: send the time of the scan" if value is None else _NO_TIME.format(_shown(value))
                self.fault(at, snake, why)
            micros.append(read or 0)
            zoned.append(read is not None and has_zone(text))
        return micros, zoned

    def fault(self, at: int, name: str, why: str) -> None:
        """Say what is wrong with a field of an event."""
        self.faults.append((f"data[{at}].{name}", why))


_NO_TIME = "{} is no time that can be read without a guess: send it as 2025-07-01T10:34:17 or 2025-07-01T10:34:17+09:00"


def given(body: dict[str, Any], snake: str, read: Callable[[Any], _T]) -> _T | None:
    """Return what ``read`` makes of a field of the request itself, in either spelling; None where it is not given."""
    value = body.get(snake)
    value = body.get(_camel(snake)) if value is None else value
    return None if value is None else read(value)


def whole(value: Any) -> int | None:  # noqa: ANN401 - any JSON
    """Return the whole number that a JSON value is (12, 12.0, "12"), else None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return int(value) if isinstance(value, str) and _WHOLE.fullmatch(value.strip()) else None


def _camel(snake: str) -> str:
    first, *rest = snake.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _shown(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
