"""``check``: does a running gateway judge, by every detector?"""

# ruff: noqa: PLC0415
# Parts are imported when the command is called: --help must be quick.

from __future__ import annotations

from typing import Annotated

import typer

from service.commands.options import CaFileOption, CertFileOption, KeyFileOption, TokenFileOption

app = typer.Typer()


@app.command()
def check(
    target: Annotated[str, typer.Option(help="HOST:PORT of a running gateway.")] = "127.0.0.1:50051",
    ca_file: CaFileOption = None,
    cert_file: CertFileOption = None,
    key_file: KeyFileOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """Have a gateway judge bundled events by rules, SVMs, LSTM and ensemble, and compare; fails if one cannot."""
    from service.client.access import access_by_files
    from service.jobs.check import check as ask
    from service.jobs.check import show
    from service.runtime.process import run_to_completion

    access = access_by_files(ca_file, cert_file, key_file, token_file)
    show(target, run_to_completion(ask(target, access)))
