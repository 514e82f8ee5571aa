"""The lock fits pyproject.toml, is complete, and is what the image, CI and every checkout install from."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.delivery.lock import EXTRAS, FOLDER, SERVING, asked, closure, lacking, pins
from tests.support.dockerfile import all_of, instructions
from tests.support.gateway import ROOT

LOCKS = sorted(path.stem for path in FOLDER.glob("*.txt"))


@pytest.mark.parametrize("lock", EXTRAS)
def test_the_lock_has_what_pyproject_asks_for_run_make_lock_if_not(lock: str) -> None:
    assert lacking(asked(EXTRAS[lock]), pins(lock)) == []


def test_a_new_dependency_and_a_new_range_are_seen() -> None:
    new = [Requirement("left-pad>=1"), Requirement("numpy>=99"), Requirement("grpcio>=1.80,<1.82")]
    assert lacking(new, pins("gateway")) == ["left-pad>=1", "numpy>=99"]


@pytest.mark.parametrize("lock", EXTRAS)
def test_the_lock_is_complete(lock: str) -> None:
    """pip looks for nothing beside it: what the packages themselves require is in it too."""
    assert closure(asked(EXTRAS[lock])) <= {pin.name for pin in pins(lock) if pin.is_for_here}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_hashes_and_no_address(lock: str) -> None:
    found = pins(lock)
    lines = [
        s for s in (FOLDER / f"{lock}.txt").read_text().splitlines() if s.strip() and not s.lstrip().startswith("#")
    ]
    assert len(found) == len([line for line in lines if not line.startswith(" ")]) > 0, "every line is understood"
    assert [pin.name for pin in found if not pin.hashes] == []
    assert not re.search(r"://|--(extra-)?index|--find|/home|/opt", "\n".join(lines)), "whose mirror it is, pip knows"


@pytest.mark.parametrize(
    "lock", ["gateway", "gateway-parquet", "gateway-gpu", "build", "compiler", "torch-cuda", "train"]
)
def test_the_tests_run_on_the_versions_that_are_delivered(lock: str) -> None:
    tested = {(pin.name, pin.version) for pin in pins("dev")}
    other = {name for name, version in {(pin.name, pin.version) for pin in pins(lock)} - tested}
    assert not other & {name for name, _ in tested}
    assert not other or lock in ("gateway-gpu", "torch-cuda")


def test_machines_without_a_gpu_need_no_cuda() -> None:
    of_cuda = re.compile(r"nvidia-|cuda-|triton$")
    assert [pin.name for pin in pins("dev torch-cpu") if of_cuda.match(pin.name)] == []
    assert len([pin.name for pin in pins("torch-cuda") if of_cuda.match(pin.name)]) > 10
    [plain] = pins("torch-cpu")
    [other] = [pin for pin in pins("torch-cuda") if pin.name == "torch"]
    assert plain.version == f"{other.version}+cpu" == "2.13.0+cpu"
    assert not set(plain.hashes) & set(other.hashes)


def test_a_gateway_with_a_gpu_has_the_other_onnxruntime_and_the_cuda_of_torch() -> None:
    """The two have the same files: what is installed last would win, and removing either would break both."""
    assert lacking(asked((*SERVING, "gpu")), pins("gateway-gpu")) == ["onnxruntime>=1.20"]
    plain, other = ({pin.name: pin.version for pin in pins(lock)} for lock in ("gateway", "gateway-gpu"))
    assert plain.keys() - other.keys() == {"onnxruntime"}
    of_torch = {pin.name: pin.version for pin in pins("torch-cuda")}
    more = other.keys() - plain.keys() - {"onnxruntime-gpu"}
    assert {name: other[name] for name in more} == {name: of_torch[name] for name in more}
    assert "nvidia-cudnn-cu13" in more


def test_the_tests_run_on_what_is_locked_run_make_if_not() -> None:
    locked = {pin.name: pin.version.partition("+")[0] for pin in pins("dev torch-cpu") if pin.is_for_here}
    assert {name: metadata.version(name).partition("+")[0] for name in locked} == locked


def test_the_image_and_make_install_nothing_that_has_no_hash() -> None:
    in_image = [step for run in all_of("RUN") for step in run.split("&&") if "pip" in step and "venv --" not in step]
    recipes = subprocess.run(
        ["make", "--always-make", "--dry-run", ".venv/dev", "gpu", ".triton/installed"],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    by_make = [step for line in recipes.stdout.splitlines() for step in line.split("||") if "pip install" in step]
    assert (len(in_image), len(by_make)) == (10, 9)
    for step in (*in_image, *by_make):
        if "requirements/" in step:
            assert "--require-hashes" in step
        else:  # the package itself, which brings nothing along
            assert step.split()[-1] in (".", "wheels/*.whl")
            assert "--no-deps" in step
            assert "--no-index" in step or "--no-build-isolation" in step


def test_ci_installs_by_make() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert "make test" in script
    assert "pip install" not in script


def test_the_base_of_the_image_is_pinned_by_digest() -> None:
    [base, *stages] = [rest for name, rest in instructions() if name == "FROM"]
    assert re.fullmatch(r"python:3\.11-slim-trixie@sha256:[0-9a-f]{64} AS base", base)
    assert stages == ["base AS build", "base AS model", "build AS build-web", "build AS build-training", "base"]


def test_pip_refuses_a_file_that_the_lock_does_not_know(tmp_path: Path) -> None:
    """With the lock's own line of a package, and a wheel of that name and version made by somebody else."""
    [pin] = [pin for pin in pins("gateway") if pin.name == "mdurl"]
    (tmp_path / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
        f'[project]\nname = "mdurl"\nversion = "{pin.version}"\n[tool.setuptools]\npackages = []\n'
    )
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", tmp_path, tmp_path],
        check=True, timeout=120,
    )  # fmt: skip
    text = (FOLDER / "gateway.txt").read_text()
    (tmp_path / "one.txt").write_text(text[text.index("mdurl==") :].partition("# via")[0])
    command = [*pip, "install", "--require-hashes", "--no-deps", "--no-index", "--find-links", tmp_path]
    done = subprocess.run(
        [*command, "--target", tmp_path / "out", "--requirement", tmp_path / "one.txt"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in done.stderr
