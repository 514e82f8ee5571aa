"""Progress of long work, on stderr: stdout carries the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


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


@contextmanager
def stages() -> Iterator[Callable[[str, float], None]]:
    """Yield what takes (what is going on, how much of the whole is done: 0 .. 1) and shows it on stderr."""
    with progress_bar() as progress:
        task = progress.add_task("", total=100)

        def show(stage: str, done: float) -> None:
            progress.update(task, description=stage, completed=round(100 * done))
            if progress.disable:  # no terminal: a log wants lines
                typer.echo(f"{done:4.0%} {stage}", err=True)

        yield show
