"""Options that commands share are options of each of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.testing import CliRunner

from service.__main__ import app as whole
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


def test_no_help_has_words_in_brackets_which_would_be_taken_for_a_style_and_not_shown() -> None:
    assert [
        (name, text) for name, text in helps(typer.main.get_command(whole)) if re.search(r"(?<!\\)\[[a-z]", text)
    ] == []


def helps(command: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - of click, which typer brings along
    """Yield each option of a command and of those below it, with its help."""
    for option in command.params:
        yield f"{command.name} {option.name}", getattr(option, "help", None) or ""
    for one in getattr(command, "commands", {}).values():
        yield from helps(one)
