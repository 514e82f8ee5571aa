"""The words of the pages in a language: gettext catalogues, as the sentences of `service.explain` have them."""

from __future__ import annotations

import gettext
from collections.abc import Callable
from functools import cache
from pathlib import Path

from service.explain.languages import LANGUAGES

DOMAIN = "pages"
LOCALE = Path(__file__).parent / "locale"

NAMES = {"en": "English", "ko": "한국어"}
"""Each language by its own name, as the switch shows it."""


@cache
def texts(language: str) -> gettext.NullTranslations:
    """Return the words of one of `LANGUAGES`; those of the first one are their own translations."""
    if language == LANGUAGES[0]:
        return gettext.NullTranslations()
    return gettext.translation(DOMAIN, LOCALE, [language])


def sayer(language: str) -> Callable[..., str]:
    """Return what says a message in one of `LANGUAGES`, with values at its {places}."""
    found = texts(language)
    return lambda message, **values: found.gettext(message).format(**values)
