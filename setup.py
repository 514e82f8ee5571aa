"""The compiled loops of the package: Python that Cython turns into C. All else of a build is in pyproject.toml."""

from __future__ import annotations

import runpy
from pathlib import Path

from Cython.Build import cythonize
from setuptools import setup

COMPILED = (
    "service/api/wire.py",
    "service/events/code_digits.py",
    "service/events/groups.py",
    "service/features/columns.py",
    "service/features/companions.py",
    "service/features/issued.py",
    "service/features/journey.py",
    "service/features/lots.py",
    "service/features/mates.py",
    "service/features/tables.py",
)
"""Without the compiled form of these modules the same files run as they are, a hundred times slower."""

DIRECTIVES = {"boundscheck": False, "wraparound": False, "cdivision": True, "initializedcheck": False}
FLAGS = ["-O3", "-ffp-contract=off"]  # no fused multiply-add: the same last bits with every compiler and processor


def write_row() -> None:
    """Write the row that the loops fill, a number for each declared feature, in their order."""
    names = runpy.run_path("service/features/declared.py")["NAMES"]
    lines = [
        "# Made by setup.py of declared.py.",
        "",
        "cdef packed struct Row:",
        *(f"    float {name}" for name in names),
    ]
    row, text = Path("service/features/row.pxd"), "\n".join(lines) + "\n"
    if not row.exists() or row.read_text() != text:  # else all would be compiled again
        row.write_text(text)


write_row()
modules = cythonize(
    list(COMPILED), language_level=3, compiler_directives=DIRECTIVES, build_dir="build/cython", quiet=True
)
for module in modules:
    module.extra_compile_args = FLAGS
setup(ext_modules=modules)
