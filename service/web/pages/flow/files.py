"""``flow measure --html`` and ``flow predict --html``: a page as one file that needs nothing else."""

from __future__ import annotations

from pathlib import Path

from service.errors import CommandError
from service.web.pages.flow.forecast import ForecastPage
from service.web.pages.flow.measured import FlowPage
from service.web.pages.one_file import in_one_file


def write_flow(
    path: Path, language: str, *, flow: FlowPage | None = None, forecast: ForecastPage | None = None
) -> None:
    """Write a page of one of them.

    Raises:
        CommandError: the file cannot be written.
    """
    page = in_one_file("flow_file.html", language, flow=flow, forecast=forecast)
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{path}: cannot be written: {error.strerror}: give --html another file") from None
