"""The option of commands that work in process, by the models of a repository."""

from __future__ import annotations

from typing import Annotated

import typer

from service.settings import Settings, load_settings

JudgesOption = Annotated[
    str | None,
    typer.Option(
        "--model-repository",
        help="Folder of the models, with the words and codes of their network (default: model_repository).",
        show_default=False,
    ),
]


def settings_of(repository: str | None, **others: object) -> Settings:
    """Return settings with which the models of ``repository`` answer in process.

    None: whatever the variables of the gateway name, or else the bundled repository.

    Raises:
        SettingsError: a setting cannot be used.
    """
    return load_settings(backend=None if repository is None else f"onnx:{repository}", **others)
