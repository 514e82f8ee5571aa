"""Templates to pages: one environment for each language; whatever comes from events is text, everywhere."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from service.events.vocabulary import KINDS
from service.explain.causes import CAUSES
from service.explain.languages import LANGUAGES
from service.web.pages.texts import NAMES, texts

HERE = Path(__file__).parent
STATIC = HERE / "static"

KIND_NAMES = {
    "epcFake": "forged code",
    "epcDup": "cloned code",
    "locErr": "wrong place",
    "evtOrderErr": "wrong order",
    "jump": "wrong time",
}
"""The kinds in words, which pages translate."""

STATE_NAMES = {
    "sending": "is being sent",
    "waiting": "waits",
    "reading": "is being read",
    "judging": "is being judged",
    "keeping": "is being kept",
    "done": "is done",
    "failed": "failed",
    "lost": "The connection was lost: send it again",
    "report": "Open the report",
}
"""What is said of an upload, by its state."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@cache
def environment(language: str) -> Environment:
    """Return the templates in one of `LANGUAGES`."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        extensions=["jinja2.ext.i18n"],
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found = texts(language)
    made.install_gettext_callables(found.gettext, found.ngettext, newstyle=True)  # type: ignore[attr-defined]
    made.filters |= {"moment": moment, "number": number, "shown": shown, "cut": cut}
    made.globals |= {
        "language": language,
        "languages": [(code, NAMES[code]) for code in LANGUAGES],
        "KINDS": KINDS,
        "KIND_NAMES": KIND_NAMES,
        "STATE_NAMES": STATE_NAMES,
        "kind_names": lambda: json.dumps(kind_names(language), ensure_ascii=False),
        "MEANING": {cause.code: cause.meaning for cause in CAUSES},
    }
    return made


def render(template: str, language: str, **values: object) -> str:
    """Return a page."""
    return environment(language).get_template(template).render(**values)


def kind_names(language: str) -> dict[str, str]:
    """Return the name of each kind in a language."""
    return {kind: texts(language).gettext(name) for kind, name in KIND_NAMES.items()}


def upload_words(language: str) -> str:
    """Return what the script says of uploads, as JSON by state."""
    return json.dumps({state: texts(language).gettext(name) for state, name in STATE_NAMES.items()}, ensure_ascii=False)


def moment(local_us: int) -> str:
    """Return a time in microseconds since 1970 as text, to the second."""
    try:
        return (_EPOCH + timedelta(microseconds=local_us)).strftime("%Y-%m-%d %H:%M:%S")
    except OverflowError:  # before year 1 or after 9999: no calendar names it
        return f"{local_us} us"


def number(value: float, decimals: int = 0) -> str:
    """Return 1,224 or 0.50."""
    return f"{value:,.{decimals}f}"


def shown(text: str) -> str:
    """Return foreign text with what cannot be seen, or turns what is beside it around, written as escapes."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


def cut(text: str, length: int = 60) -> str:
    """Return the text, shortened where it is longer."""
    return text if len(text) <= length else f"{text[: length - 1]}…"
