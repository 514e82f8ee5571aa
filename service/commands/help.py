"""How commands say what they are: nothing is cut, however narrow the terminal.

The boxes that typer draws with rich cut names of options (``--canary-model-vers…``) and defaults at 80 columns, and its
plain help cuts the sentences of a list of commands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from typer._click.core import Context
    from typer._click.formatting import HelpFormatter
    from typer.exceptions import TyperException


class WholeHelp(TyperGroup):
    """A group of commands whose help has the whole first sentence of each; without a command it shows its help."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Return what is left of ``args``; without any, show the help and exit with 2."""
        if not args and not ctx.resilient_parsing:
            typer.echo(ctx.get_help(), err=True)
            raise typer.Exit(2)
        return super().parse_args(ctx, args)

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Write a line or more for each command."""
        shown = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [
            (name, command.get_short_help_str(limit=10_000))
            for name, command in shown
            if command and not command.hidden
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def way_to_help(wrong: TyperException) -> str:
    """Return the command that says how to use the one that was used in a ``wrong`` way."""
    context = getattr(wrong, "ctx", None)
    return f"{context.command_path if context else 'epc-sentinel COMMAND'} --help"
