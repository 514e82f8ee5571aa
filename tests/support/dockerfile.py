"""What the Dockerfile says."""

from __future__ import annotations

import json
import shlex

from tests.support.gateway import ROOT

DOCKERFILE = ROOT / "Dockerfile"


WEB = "base AS web"


def instructions(*, web: bool = False) -> list[tuple[str, str]]:
    """Return (instruction, arguments) of the Dockerfile, continued lines joined: of the stage ``web``, or of others."""
    found, of_web = [], False
    for name, rest in _all():
        of_web = rest == WEB if name == "FROM" else of_web
        if of_web is web:
            found.append((name, rest))
    return found


def _all() -> list[tuple[str, str]]:
    lines = [line for line in DOCKERFILE.read_text().splitlines() if line and not line.startswith("#")]
    text = "\n".join(lines).replace("\\\n", "")
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in text.splitlines())]


def all_of(name: str, *, web: bool = False) -> list[str]:
    return [rest for instruction, rest in instructions(web=web) if instruction == name]


def image_env() -> dict[str, str]:
    """Return the variables of the final stage."""
    [*_, final] = all_of("ENV")
    return dict(word.split("=", 1) for word in shlex.split(final))


def health_command() -> list[str]:
    [check] = all_of("HEALTHCHECK")
    return json.loads(check.partition(" CMD ")[2])  # type: ignore[no-any-return]
