"""What the Dockerfile says."""

from __future__ import annotations

import json
import shlex

from tests.support.gateway import ROOT

DOCKERFILE = ROOT / "Dockerfile"


IMAGES = ("web", "training")
"""Stages that are images of their own, beside that of the gateway."""


def instructions(stage: str = "") -> list[tuple[str, str]]:
    """Return (instruction, arguments) of the Dockerfile, continued lines joined: of a stage, or of all but IMAGES."""
    found, at = [], ""
    for name, rest in _all():
        if name == "FROM":
            at = rest.partition(" AS ")[2]
        if at == stage if stage else at not in IMAGES:
            found.append((name, rest))
    return found


def _all() -> list[tuple[str, str]]:
    lines = [line for line in DOCKERFILE.read_text().splitlines() if line and not line.startswith("#")]
    text = "\n".join(lines).replace("\\\n", "")
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in text.splitlines())]


def all_of(name: str, stage: str = "") -> list[str]:
    return [rest for instruction, rest in instructions(stage) if instruction == name]


def copied(stage: str = "") -> set[str]:
    """Return what a stage copies of what Docker is sent."""
    return {source for rest in all_of("COPY", stage) if "--from" not in rest for source in shlex.split(rest)[:-1]}


def image_env() -> dict[str, str]:
    """Return the variables of the final stage."""
    [*_, final] = all_of("ENV")
    return dict(word.split("=", 1) for word in shlex.split(final))


def health_command() -> list[str]:
    [check] = all_of("HEALTHCHECK")
    return json.loads(check.partition(" CMD ")[2])  # type: ignore[no-any-return]
