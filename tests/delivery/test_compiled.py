"""The loops of the features, compiled by this machine's compiler, by zig and not at all: the same to the last bit."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import numpy as np
import pytest

from service.features.table import NAMES
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from tests.delivery.image import COMPILED, Image
from tests.support.gateway import ROOT, Gateway
from tests.support.observed import samples, scrape, value
from tests.support.requests import call, many, request, scan

Computed = tuple[str, list[np.ndarray]]
"""("compiled" or "uncompiled", tables of features)"""


@pytest.fixture(scope="module")
def uncompiled(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout, as far as a gateway needs it, in which nothing is compiled."""
    root = tmp_path_factory.mktemp("uncompiled")
    shutil.copytree(image.context / "service", root / "service")
    (root / "model_repository").symlink_to(ROOT / "model_repository")
    return root


@pytest.fixture(scope="module")
def no_cython(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that hides the Cython of this Python."""
    folder = tmp_path_factory.mktemp("no_cython")
    for name in ("cython", "Cython"):
        (folder / f"{name}.py").write_text(f'raise ModuleNotFoundError("No module named {name!r}", name="{name}")\n')
    return folder


def computed(packages: Path, folder: Path) -> Computed:
    """Return what `tests.delivery.computed` makes of the ``service`` in ``packages``."""
    file = folder / "features.npz"
    done = subprocess.run(
        [sys.executable, "-m", "tests.delivery.computed", file],
        cwd=folder, env=os.environ | {"PYTHONPATH": f"{packages}:{ROOT}"},
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    form, _, where = done.stdout.strip().partition(" ")
    assert Path(where).is_relative_to(packages)
    return form, list(np.load(file).values())


@pytest.fixture(scope="module")
def by_zig(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Computed:
    return computed(image.packages, tmp_path_factory.mktemp("by_zig"))


def assert_same_bits(one: list[np.ndarray], other: list[np.ndarray]) -> None:
    assert len(one) == len(other) > 0
    for table, twin in zip(one, other, strict=True):
        assert table.shape == twin.shape
        unlike = (table.view(np.uint32) != twin.view(np.uint32)).any(axis=0)
        assert [name for name, differs in zip(NAMES, unlike, strict=True) if differs] == []


def test_zig_compiles_where_no_compiler_is(by_zig: Computed) -> None:
    form, tables = by_zig
    assert form == "compiled"
    assert sum(map(len, tables)) > 500
    varied = np.ptp(np.concatenate(tables), axis=0) > 0
    assert [name for name, varies in zip(NAMES, varied, strict=True) if not varies] == [], "each says something"


def test_loops_of_other_features_are_refused(image: Image, tmp_path: Path) -> None:
    """They would write rows of another width into the table."""
    shutil.copytree(image.packages / "service", tmp_path / "service")
    declared = tmp_path / "service" / "features" / "declared.py"
    declared.write_text(declared.read_text().replace('    ("has_prev",', '    ("has_previous",', 1))
    done = subprocess.run(
        [sys.executable, "-c", "import service.features.table"],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "declared anew after their loops had been compiled: compile again" in done.stderr


def test_both_compilers_make_the_same_features(by_zig: Computed, tmp_path: Path) -> None:
    """The checkout is compiled by `make`: with the compiler of this machine, where it has one."""
    form, tables = computed(ROOT, tmp_path)
    assert form == "compiled"
    assert_same_bits(tables, by_zig[1])


def test_uncompiled_loops_make_the_same_features(uncompiled: Path, by_zig: Computed, tmp_path: Path) -> None:
    form, tables = computed(uncompiled, tmp_path)
    assert form == "uncompiled"
    assert_same_bits(tables, by_zig[1])


def findings(gateway: Gateway) -> bytes:
    """Return what a gateway answers to normal scans and to forged ones."""
    asked = request(*many(40).data, *(scan(1_000 + at, epc_code=f"forged {at}") for at in range(5)))
    return call(gateway.target, "Analyze", asked.SerializeToString())


def test_an_uncompiled_gateway_judges_as_the_others_and_says_what_it_is(uncompiled: Path, gateway: Gateway) -> None:
    with Gateway("--metrics-port", "0", root=uncompiled) as slow:
        first, *others = slow.log()
        assert (first["level"], first["event"], first["features"]) == (
            "warning",
            "features are not compiled",
            "uncompiled",
        )
        assert "ziglang" in first["remedy"]
        assert [line["features"] for line in others if line["event"] == "listening"] == ["uncompiled"]
        assert value(samples(scrape(slow)), "features_compiled") == 0
        answer = findings(slow)
    assert len(pb.AnalyzeResponse.FromString(answer).event_history) >= 5
    assert answer == findings(gateway)


def test_a_compiled_gateway_says_so_and_needs_no_cython(image: Image, no_cython: Path, gateway: Gateway) -> None:
    with Gateway("--metrics-port", "0", root=image.workdir, PYTHONPATH=f"{no_cython}:{image.packages}") as lean:
        [first, *_] = lean.log()
        assert (first["event"], first["features"]) == ("listening", "compiled")
        assert value(samples(scrape(lean)), "features_compiled") == 1
        assert findings(lean) == findings(gateway)


def test_with_workers_it_is_said_once_first_and_for_each(uncompiled: Path) -> None:
    with Gateway("--metrics-port", "0", "--workers", "2", "--history", "none", root=uncompiled) as several:
        assert [line["event"] for line in several.log()].count("features are not compiled") == 1
        assert several.log()[0]["event"] == "features are not compiled"
        assert several.wait_log("listening")["features"] == "uncompiled"
        assert value(samples(scrape(several)), "features_compiled", worker="1") == 0


def test_neither_compiled_nor_cython_is_one_line(uncompiled: Path, no_cython: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "service", "serve", "--port", "0"],
        cwd=uncompiled, env=os.environ | {"PYTHONPATH": str(no_cython)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "pip install cython" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("compiler", ["false", "no-such-program"])
def test_a_compiler_that_fails_leaves_the_package_uncompiled(image: Image, tmp_path: Path, compiler: str) -> None:
    """And nothing of an earlier compilation, which would be of another version of the loops."""
    checkout = image.translated(tmp_path / "checkout")
    stale = checkout / "service" / "features" / f"journey{sysconfig.get_config_var('EXT_SUFFIX')}"
    stale.touch()
    done = subprocess.run(
        [sys.executable, checkout / "setup.py", "--quiet", "build_ext", "--inplace"],
        cwd=tmp_path, env=os.environ | {"CC": compiler}, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "not compiled" in done.stderr
    assert "ziglang" in done.stderr
    assert not list(checkout.rglob("*.so"))


def test_types_are_left_to_cython_in_what_is_compiled_and_there_alone() -> None:
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    [of_loops] = [one for one in tool["mypy"]["overrides"] if "disallow_untyped_defs" in one]
    assert of_loops["module"] == [name.removesuffix(".py").replace("/", ".") for name in COMPILED]
    [pattern] = [one for one, rules in tool["ruff"]["lint"]["per-file-ignores"].items() if rules == ["ANN"]]
    assert sorted(pattern.removeprefix("service/{").removesuffix("}.py").split(",")) == [
        name.removeprefix("service/").removesuffix(".py") for name in COMPILED
    ]
    assert tool["coverage"]["run"]["omit"] == ["service/pb/*", *COMPILED], "no tracer sees what is compiled"
