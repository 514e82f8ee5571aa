"""``flow``: work in progress, throughput and cycle times of the same scans."""

from __future__ import annotations

import typer

from service.commands.flow import learning, measuring, planning
from service.commands.help import WholeHelp

app = typer.Typer()
_flow = typer.Typer(cls=WholeHelp, help="How items flow: work in progress, throughput, cycle time.")
for part in (measuring, planning, learning):
    _flow.add_typer(part.app)
app.add_typer(_flow, name="flow")
