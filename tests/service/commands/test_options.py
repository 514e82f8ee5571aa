"""Options that commands share are options of each of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from typer.testing import CliRunner

from service.commands.options import AccessOptions, OptionGroup, spread


@dataclass(frozen=True, slots=True)
class Lamp(OptionGroup):
    """A group."""

    watts: Annotated[int, typer.Option(min=1)]
    colour: Annotated[str, typer.Option()] = "white"


def test_the_fields_of_a_group_are_options_where_the_group_stands() -> None:
    app, seen = typer.Typer(), list[object]()

    @app.command()
    @spread
    def light(room: Annotated[str, typer.Argument()], lamp: Lamp, access: AccessOptions, loud: bool = False) -> None:
        seen.extend((room, lamp, access, loud))

    runner = CliRunner()
    assert runner.invoke(app, ["hall", "--watts", "40", "--token-file", "token", "--loud"]).exit_code == 0
    assert seen == ["hall", Lamp(40), AccessOptions(token_file=Path("token")), True]
    assert runner.invoke(app, ["hall"]).exit_code == 2, "what has no default is missing"
    assert runner.invoke(app, ["hall", "--watts", "0"]).exit_code == 2
    told = runner.invoke(app, ["--help"], env={"COLUMNS": "100"}).output
    places = [told.index(name) for name in ("--watts", "--colour", "--ca-file", "--token-file", "--loud")]
    assert places == sorted(places)
