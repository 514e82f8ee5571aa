"""What the lock files in requirements/ say, and what pyproject.toml asks of them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.gateway import ROOT

FOLDER = ROOT / "requirements"
SERVING = ("triton", "valkey", "tracing")
EXTRAS = {"gateway": SERVING, "gateway-parquet": (*SERVING, "parquet"), "dev torch-cpu": ("dev",),
          "train torch-cpu": (*SERVING, "web", "train")}  # fmt: skip
"""Of the package, by the locks that they are installed from together."""

_PIN = re.compile(r"^(?P<pin>[A-Za-z0-9][^\\\n]*)(?P<hashes>(?:\\\n +--hash=sha256:[0-9a-f]{64} ?)*)$", re.MULTILINE)


@dataclass(frozen=True)
class Pin:
    """A package of a lock; there are two of one name where Pythons need different versions."""

    requirement: Requirement
    hashes: tuple[str, ...]

    @property
    def name(self) -> str:
        """The normal form of its name."""
        return canonicalize_name(self.requirement.name)

    @property
    def version(self) -> str:
        """The one version that is allowed."""
        [only] = self.requirement.specifier
        assert only.operator == "=="
        return only.version

    @property
    def is_for_here(self) -> bool:
        """Whether this Python on this machine gets it."""
        return self.requirement.marker is None or self.requirement.marker.evaluate()


def pins(locks: str) -> list[Pin]:
    """Return the pins of one or several locks."""
    text = "\n".join((FOLDER / f"{lock}.txt").read_text() for lock in locks.split())
    return [Pin(Requirement(m["pin"]), tuple(re.findall(r"[0-9a-f]{64}", m["hashes"]))) for m in _PIN.finditer(text)]


def asked(extras: Iterable[str]) -> list[Requirement]:
    """Return what pyproject.toml asks for, the package's own extras followed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found, todo = [], [*project["dependencies"], f"{project['name']}[{','.join(extras)}]"]
    while todo:
        requirement = Requirement(todo.pop())
        if requirement.name == project["name"]:
            todo += [text for extra in requirement.extras for text in project["optional-dependencies"][extra]]
        else:
            found.append(requirement)
    return found


def lacking(wanted: Iterable[Requirement], lock: Iterable[Pin]) -> list[str]:
    """Return which requirements a lock does not fulfil: no pin of the name, or one outside of the range."""
    versions: dict[str, list[str]] = {}
    for pin in lock:
        versions.setdefault(pin.name, []).append(pin.version)
    return [
        str(one)
        for one in wanted
        if not all(one.specifier.contains(v) for v in versions.get(canonicalize_name(one.name), ["0.dev0"]))
    ]


def closure(requirements: Iterable[Requirement]) -> set[str]:
    """Return the names of ``requirements`` and of all that they require, as installed here."""
    found: set[tuple[str, str]] = set()
    todo = [(requirement, "") for requirement in requirements]
    while todo:
        requirement, extra = todo.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        for wanted in {"", *requirement.extras}:
            if (key := (canonicalize_name(requirement.name), wanted)) not in found:
                found.add(key)
                todo += [(Requirement(text), wanted) for text in metadata.requires(requirement.name) or ()]
    return {name for name, _ in found}
