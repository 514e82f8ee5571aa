"""In which language does the caller want to read? (RFC 9110, accept-language.) And the sentences of each language."""

from __future__ import annotations

import gettext
import re
from functools import cache
from pathlib import Path

LANGUAGES = ("en", "ko")
"""The first one is what the sentences are written in, and what is spoken to whoever asks for nothing we have."""

DOMAIN = "reasons"
LOCALE = Path(__file__).parent / "locale"

_MOST = 1_000
"""Characters of a header that are looked at: nobody speaks more languages."""

_RANGE = re.compile(r"\s*([A-Za-z]{1,8}|\*)(?:-[A-Za-z0-9]{1,8})*\s*(?:;\s*[qQ]\s*=\s*([01](?:\.[0-9]{0,3})?)\s*)?")


def language_of(accept_language: str | None) -> str:
    """Return which of `LANGUAGES` the caller prefers; what is no language range is left out, as if it were not there.

    The highest weight wins, the first one of equals; "*" stands for those that are not named, English first.
    """
    header = accept_language or ""
    if len(header) > _MOST:
        header = header[:_MOST].rpartition(",")[0]  # no half of a range
    weights: dict[str, float] = {}
    for item in header.split(","):
        if match := _RANGE.fullmatch(item):
            weights.setdefault(match[1].lower(), min(float(match[2] or 1), 1.0))
    rest = weights.pop("*", 0.0)
    named = [language for language in weights if language in LANGUAGES]
    others = [language for language in LANGUAGES if language not in weights]
    ranked = [(weights[language], language) for language in named] + [(rest, language) for language in others]
    weight, language = max(ranked, key=lambda pair: pair[0])
    return language if weight > 0 else LANGUAGES[0]


@cache
def catalogue(language: str) -> gettext.NullTranslations:
    """Return the sentences of one of `LANGUAGES`; those of the first one are their own translations."""
    if language == LANGUAGES[0]:
        return gettext.NullTranslations()
    return gettext.translation(DOMAIN, LOCALE, [language])
