"""Progress of long work and warnings, on stderr: stdout carries the answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import rich.progress
import typer
from rich.console import Console

from service.progress import Progress


def progress_bar() -> rich.progress.Progress:
    """Return a progress display on stderr, silent where stderr is not a terminal (stdout carries the answer)."""
    console = Console(stderr=True)
    return rich.progress.Progress(
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )


def warn(warnings: Iterable[str]) -> None:
    """Write warnings on stderr, a line each; what would steer a terminal is an escape."""
    for text in warnings:
        shown = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
        typer.echo(f"warning: {shown}", err=True)


@contextmanager
def shown_progress() -> Iterator[Progress]:
    """Yield what shows on stderr how far work is."""
    with progress_bar() as bar:
        task = bar.add_task("", total=100)

        def show(what: str, done: float) -> None:
            bar.update(task, description=what, completed=round(100 * done))
            if bar.disable:  # no terminal: a log wants lines
                typer.echo(f"{done:4.0%} {what}", err=True)

        yield show
