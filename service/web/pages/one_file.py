"""``analyze --html``: the report and the items of its incidents as one file that needs nothing else.

Script and style are in it, and its policy lets nothing run or load but these two, by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from service.errors import CommandError
from service.findings.records import IncidentRow
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from service.rawfiles.columns import RawEvents
from service.web.pages.answer import AnswerPages
from service.web.pages.atlas import Atlas
from service.web.pages.effects import moves_of
from service.web.pages.item import ItemPage, item_page
from service.web.pages.report import ReportPage
from service.web.pages.templating import STATIC, render

MOST_INCIDENTS, MOST_ITEMS = 300, 60
"""Incidents and items that a file has: with more, it would be too large to open."""


def write_one_file(  # noqa: PLR0913, PLR0917 - what was found, in which words, where to
    path: Path,
    raw: RawEvents,
    response: pb.AnalyzeFilesResponse,
    explained: Sequence[pb.ExplainResponse],
    atlas: Atlas,
    language: str,
) -> None:
    """Write what was found into one file.

    Raises:
        CommandError: the file cannot be written.
    """
    found, moves = AnswerPages(raw, response, explained), moves_of(explained)
    items = [item_page(scans, mates, moves, atlas, language) for scans, mates in found.items(MOST_ITEMS)]
    page = one_file(found.report(), found.incidents(MOST_INCIDENTS), items, language)
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{path}: cannot be written: {error.strerror}: give --html another file") from None


def one_file(report: ReportPage, incidents: Sequence[IncidentRow], items: Sequence[ItemPage], language: str) -> str:
    """Return the page; codes of incidents lead to their item, if it is among ``items``."""
    anchors = {item.code: f"item-{number}" for number, item in enumerate(items, start=1)}
    return in_one_file(
        "one_file.html",
        language,
        report=report,
        incidents=incidents,
        more_incidents=report.file.incidents - len(incidents),
        items=[(anchors[item.code], item) for item in items],
        item_href=lambda code: f"#{anchors[code]}" if code in anchors else "",
    )


def in_one_file(template: str, language: str, **values: object) -> str:
    """Return a page with the script and the style in it, which its policy knows by their hashes."""
    script, style = (_asset(name) for name in ("pages.js", "pages.css"))
    return render(
        template,
        language,
        in_one_file=True,
        script=Markup(script),  # noqa: S704 - our own, built; a test holds that nothing in it ends the element
        style=Markup(style),  # noqa: S704
        script_hash=_hash(script),
        style_hash=_hash(style),
        **values,
    )


def _asset(name: str) -> str:
    return (STATIC / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Return the name that a content security policy knows an inline text by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
