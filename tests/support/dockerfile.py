"""What the Dockerfile says."""

from __future__ import annotations

import json
import shlex

from tests.support.gateway import ROOT

DOCKERFILE = ROOT / "Dockerfile"


def instructions() -> list[tuple[str, str]]:
    """Return (instruction, arguments) of the Dockerfile, continued lines joined."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if line and not line.startswith("#")]
    text = "\n".join(lines).replace("\\\n", "")
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in text.splitlines())]


def all_of(name: str) -> list[str]:
    return [rest for instruction, rest in instructions() if instruction == name]


def image_env() -> dict[str, str]:
    """Return the variables of the final stage."""
    [*_, final] = all_of("ENV")
    return dict(word.split("=", 1) for word in shlex.split(final))


def health_command() -> list[str]:
    [check] = all_of("HEALTHCHECK")
    return json.loads(check.partition(" CMD ")[2])  # type: ignore[no-any-return]
