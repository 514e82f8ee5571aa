"""Where tables for people are printed, of the gateway's commands and on the training side."""

from __future__ import annotations

import sys

from rich.console import Console

WIDE = 200
"""Columns where the output is no terminal: no code and no number may be cut in a log or a pipe."""


def wide_console(*, highlight: bool = True) -> Console:
    """Return what tables are printed on, as wide as the terminal or WIDE where there is none."""
    return Console(width=None if sys.stdout.isatty() else WIDE, highlight=highlight)
