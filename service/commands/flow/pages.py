"""Options of commands that write a page."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from service.commands.options import LanguageChoice
from service.errors import SettingsError

FlowPageOption = Annotated[Path | None, typer.Option("--html", help="Write a page about it as well, as one file.")]
LanguageOption = Annotated[LanguageChoice, typer.Option(help="Of the page.")]


def check_page(html: Path | None) -> None:
    """Raise SettingsError if no page can be written to ``html``."""
    if html is not None and not html.parent.is_dir():
        raise SettingsError(f"--html is {str(html)!r}: no such folder as {html.parent}: make it first")
    if html is not None and find_spec("jinja2") is None:
        raise SettingsError("--html needs the extra 'web': pip install 'epc-sentinel[web]'")
