"""``flow``: work in progress, throughput and cycle times of the same scans."""

from __future__ import annotations

import typer

from service.commands.flow import learning, measuring, planning

app = typer.Typer()
_flow = typer.Typer(no_args_is_help=True, help="How items flow: work in progress, throughput, cycle time.")
for part in (measuring, planning, learning):
    _flow.add_typer(part.app)
app.add_typer(_flow, name="flow")
