"""What the Dockerfile builds, as far as it can be built without Docker. A pytest plugin."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.dockerfile import copied, image_env
from tests.support.gateway import ROOT
from tests.support.processes import made_once

BIN = Path(sys.executable).parent

COMPILED, SHARED = (
    ast.literal_eval(node.value)
    for node in ast.parse((ROOT / "setup.py").read_text()).body
    if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in ("COMPILED", "SHARED")
)
"""The modules that setup.py compiles, as paths; and the name of what Cython adds to them."""

ROW = "service/features/row.pxd"
"""What setup.py writes for the loops, before it looks which of them are older."""

COMPILERS = re.compile(r"(.*-)?(cc|c89|c99|gcc|clang|tcc|icx)(-[\d.]+)?")


def is_sent(path: str, rules: Iterable[str]) -> bool:
    """Return whether .dockerignore lets ``path`` through; the last rule that matches decides."""
    sent = True
    for rule in rules:
        pattern = re.escape(rule.removeprefix("!")).replace(r"\*\*/", "(.*/)?").replace(r"\*", "[^/]*")
        if re.fullmatch(pattern, path):
            sent = rule.startswith("!")
    return sent


def copy_context(target: Path) -> None:
    """Copy what Docker would be sent: the project without what .dockerignore leaves out."""
    rules = [r for r in (ROOT / ".dockerignore").read_text().splitlines() if r and not r.startswith("#")]

    def left_out(folder: str, names: list[str]) -> list[str]:
        relative = Path(folder).relative_to(ROOT)
        return [name for name in names if not is_sent((relative / name).as_posix(), rules)]

    shutil.copytree(ROOT, target, ignore=left_out)


def without_compiler(folder: Path) -> str:
    """Return a PATH with all programs of this machine, in ``folder``, but for C compilers."""
    folder.mkdir()
    for program in [one for at in os.get_exec_path() if Path(at).is_dir() for one in Path(at).iterdir()]:
        link = folder / program.name
        if not COMPILERS.fullmatch(program.name) and not link.is_symlink():
            link.symlink_to(program.absolute())
    return str(folder)


@dataclass(frozen=True)
class Image:
    """What the image would hold."""

    context: Path  # what it is built from; its service/ runs too, uncompiled
    packages: Path  # site-packages of the project alone; bin/ has its console script
    workdir: Path
    built: Path  # the context after the build, with all that setup.py left there

    def translated(self, folder: Path) -> Path:
        """Copy the context to ``folder``, with the C that Cython made of the loops: else it is made once more."""
        shutil.copytree(self.context, folder)
        shutil.copytree(self.built / "build" / "cython", folder / "build" / "cython")
        shutil.copy2(self.built / ROW, folder / ROW)
        return folder

    def environment(self, port: int) -> dict[str, str]:
        """Return the whole environment of a container, its own variables included."""
        own = {name: value for name, value in image_env().items() if name != "PATH"}
        path = f"{self.packages}/bin:{BIN}:/usr/bin:/bin:/usr/sbin:/sbin"
        return own | {"PATH": path, "PYTHONPATH": str(self.packages), "HOME": "/", "EPC_SENTINEL_PORT": str(port)}


def build(folder: Path) -> None:
    """Build, but for the dependencies: those of the test's own venv do. By zig, as no compiler is on the PATH."""
    built = folder / "built"
    copy_context(folder / "context")
    shutil.copytree(folder / "context", built)
    for name in copied("build-training"):  # the stage build has neither
        shutil.rmtree(built / name)
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *offline, "--target", folder / "packages", "./[triton]"],
        cwd=built, env=os.environ | {"PATH": without_compiler(folder / "bin")}, check=True,
    )  # fmt: skip
    shutil.copytree(folder / "context" / "model_repository", folder / "app" / "model_repository")


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The image, built once for all processes of a test run: it takes up to a minute."""
    folder = made_once(tmp_path_factory, "image", build)
    return Image(folder / "context", folder / "packages", folder / "app", folder / "built")
