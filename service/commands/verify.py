"""``verify``: a model repository before Triton loads it."""

# ruff: noqa: PLC0415
# Parts are imported when the command is called, --help must be quick.

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service.commands.options import setting

app = typer.Typer()


@app.command()
def verify(
    repository: Annotated[Path, typer.Argument(help="Folder of a Triton model repository.")],
    trust: Annotated[Path | None, setting("trust")] = None,
) -> None:
    """Check that a model repository holds what was exported and signed, and nothing else, before Triton loads it."""
    from service.model.signing import load_trust
    from service.model.verify import verify as run

    found = run(repository, load_trust(trust) if trust else None)
    signed = f"signed by a key of {trust}" if trust else "signatures not asked for"
    typer.echo(f"{', '.join(found)} in {repository}: as exported; {signed}")
