"""What every command of the console script shares: the one-line failure, and progress on stderr."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


class CommandError(Exception):
    """A command cannot go on. The message is one line for the user: what is wrong, where, and how to fix it."""

    exit_code = 1


class SettingsError(CommandError):
    """The command was called with settings that it cannot use."""

    exit_code = 2


def progress_bar() -> Progress:
    """Return a progress display on stderr, silent where stderr is not a terminal (stdout carries the answer)."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )
