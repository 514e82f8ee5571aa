"""Numbers, times, places and codes as sentences say them, in one language."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta

from service.events.vocabulary import EVENT_TYPES, LEVELS
from service.explain.languages import catalogue

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_TEXT = 64

_NOT_SHOWN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
"""Unicode categories that a terminal would obey, not show: controls, marks of direction, what is not assigned."""


class Words:
    """Says things in one of `languages.LANGUAGES`."""

    def __init__(self, language: str) -> None:
        found = catalogue(language)
        self._one, self._many = found.gettext, found.ngettext

    def say(self, message: str, **values: object) -> str:
        """Return the message in the language, with ``values`` at its {places}."""
        return self._one(message).format(**values)

    def count(self, one: str, many: str, n: float, **values: object) -> str:
        """Return the message for ``n`` things, a whole number unless it is said with a decimal; {n} is the number."""
        return self._many(one, many, 1 if n == 1 else 2).format(n=self.number(n), **values)

    def number(self, value: float) -> str:
        """Return 1,224 or 0.5: with one decimal below 100, if it is no whole number."""
        if isinstance(value, int):
            return f"{value:,}"
        rounded = round(value, 1)
        return f"{value:,.0f}" if abs(rounded) >= 100 or rounded == int(rounded) else f"{rounded:,.1f}"

    def duration(self, minutes: float) -> str:
        """Return a time span, 0 or more: "20 seconds", "2 minutes", "3.5 hours", "12 days"."""
        unit, amount = _in_unit(minutes)
        return self._amount(unit, amount)

    def span(self, low: float, high: float) -> str:
        """Return a range of time spans in minutes: "3 to 9 hours"."""
        (low_unit, least), (high_unit, most) = _in_unit(low), _in_unit(high)
        if (low_unit, least) == (high_unit, most):
            return self.say("about {span}", span=self._amount(high_unit, most))
        least_said = self.number(least) if low_unit == high_unit else self._amount(low_unit, least)
        return self.say("{low} to {high}", low=least_said, high=self._amount(high_unit, most))

    def _amount(self, unit: str, amount: float) -> str:
        if unit == "seconds":
            return self.count("{n} second", "{n} seconds", amount)
        if unit == "minutes":
            return self.count("{n} minute", "{n} minutes", amount)
        if unit == "hours":
            return self.count("{n} hour", "{n} hours", amount)
        return self.count("{n} day", "{n} days", amount)

    def km(self, kilometres: float) -> str:
        return self.say("{n} km", n=self.number(kilometres))

    def scan(self, kind: int, location_id: int) -> str:
        """Return "HUB_Inbound at place 17" of a `type_index` and a location id."""
        return self.say("{type} at place {place}", type=self.type(kind), place=location_id)

    def type(self, kind: int) -> str:
        return EVENT_TYPES[kind] if 0 <= kind < len(EVENT_TYPES) else self.say("an unknown type")

    def level(self, level: int) -> str:
        return LEVELS[level] if level >= 0 else self.say("an unknown level")

    def time(self, time_us: int) -> str:
        """Return the minute of a time, as events give it: "2025-07-01 09:00"."""
        return _moment(time_us, "%Y-%m-%d %H:%M")

    def day(self, day: int) -> str:
        """Return the date of days since 1970: "2025-07-01"."""
        return _moment(day * 86_400_000_000, "%Y-%m-%d")


def _moment(time_us: int, form: str) -> str:
    try:
        return (_EPOCH + timedelta(microseconds=time_us)).strftime(form)
    except OverflowError:  # before year 1 or after 9999: no calendar names it
        return f"{time_us} us"


def _in_unit(minutes: float) -> tuple[str, float]:
    """Return (unit, amount rounded as it is said)."""
    if minutes * 60 < 59.5:
        return "seconds", float(round(minutes * 60))
    if minutes < 59.5:
        return "minutes", float(round(minutes)) if minutes >= 9.95 else round(minutes, 1)
    if minutes < 48 * 60 - 3:
        return "hours", round(minutes / 60, 1)
    return "days", round(minutes / 1440, 1)


def shown(text: str) -> str:
    """Return foreign text as it may stand in a sentence: in quotes, 64 characters at most, nothing in it is obeyed."""
    if len(text) <= _LONGEST_TEXT and text.isascii() and text.isprintable() and not set('"\\') & set(text):
        return f'"{text}"'  # nearly all codes
    said = ""
    for character in text:
        safe = _escaped(character)
        if len(said) + len(safe) > _LONGEST_TEXT:
            return f'"{said}…"'
        said += safe
    return f'"{said}"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if unicodedata.category(character) not in _NOT_SHOWN:
        return character
    return f"\\u{ord(character):04x}" if ord(character) < 0x10000 else f"\\U{ord(character):08x}"
