"""Where tables for people are printed, of the gateway's commands and on the training side."""

from __future__ import annotations

import sys

from rich.console import Console

WIDE = 200
"""Columns where the output is no terminal: no code and no number may be cut in a log or a pipe."""


def wide_console(*, highlight: bool = True) -> Console:
    """Return what tables are printed on, as wide as the terminal or WIDE where there is none."""
    return Console(width=None if sys.stdout.isatty() else WIDE, highlight=highlight)


def how_many(number: int, one: str) -> str:
    """Return how many there are in words: 1 event, 2 events."""
    return f"{number} {one}" if number == 1 else f"{number} {one}s"


def rate(value: float) -> str:
    """Return a rate with two places behind the point, or two digits where it is so small that these would be none."""
    return f"{value:,.2f}" if value >= 0.1 or value == 0 else f"{value:.2g}"
