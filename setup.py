"""The compiled loops of the package: Python that Cython turns into C. pyproject.toml has all else of a build."""

from __future__ import annotations

import importlib.util
import os
import runpy
import shlex
import shutil
import sys
import sysconfig
import zlib
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CCompilerError, CompileError

COMPILED = (
    "service/api/wire.py",
    "service/detect/lookups.py",
    "service/events/code_digits.py",
    "service/events/groups.py",
    "service/events/texts.py",
    "service/features/columns.py",
    "service/features/companions.py",
    "service/features/journey.py",
    "service/features/lots.py",
    "service/features/mates.py",
    "service/features/neighbours.py",
    "service/features/tables.py",
    "service/features/traffic.py",
    "service/rawfiles/plain.py",
)
"""Without the compiled form of these modules the same files run as they are, hundreds of times slower."""

SHARED = "service.runtime.cython_shared"
"""What Cython adds to each module that has memory views, once for all: two thirds of the time of a compilation."""

DIRECTIVES = {"boundscheck": False, "wraparound": False, "cdivision": True, "initializedcheck": False}
FLAGS = ["-O3", "-g0", "-ffp-contract=off"]
"""No fused multiply-add: the same last bits with every compiler and processor."""


def write_row() -> None:
    """Write the row that the loops fill, a number for each declared feature, in their order."""
    names = runpy.run_path("service/features/declared.py")["NAMES"]
    lines = [
        "# Made by setup.py of declared.py.",
        "",
        "cdef packed struct Row:",
        *(f"    float {name}" for name in names),
        "",
        "cdef enum:",
        f"    DECLARED = {zlib.crc32(' '.join(names).encode()) & 0x7FFFFFFF}",
    ]
    row, text = Path("service/features/row.pxd"), "\n".join(lines) + "\n"
    if not row.exists() or row.read_text() != text:  # else all would be compiled again
        row.write_text(text)


def choose_compiler() -> None:
    """Choose the C compiler by variables of the environment: one on the PATH, else that of the package ``ziglang``.

    Raises:
        CompileError: there is none.
    """
    if "CC" in os.environ:
        return
    own = sysconfig.get_config_var("CC") or "cc"  # what this Python was compiled with; there may be another here
    if shutil.which(shlex.split(own)[0]):
        return
    found = next(filter(shutil.which, ("cc", "gcc", "clang")), None)
    if found is None:
        if importlib.util.find_spec("ziglang") is None:
            raise CompileError("no cc, gcc or clang on the PATH, and no package ziglang")
        # Else zig compiles for the very processor that it runs on, and the image may run on another.
        found = f"{shlex.quote(sys.executable)} -m ziglang cc -mcpu=baseline"
        for cache in ("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR"):  # by itself it writes to the home folder
            os.environ.setdefault(cache, str(Path("build/zig").absolute()))
    # Without the flags of the compiler that this Python was made with, which this one may not know. Without -O3 zig
    # links a runtime of checks, which it has to compile first: five times as long.
    os.environ |= {"CC": found, "LDSHARED": f"{found} -O3 -shared", "CFLAGS": "-DNDEBUG -fwrapv"}


class BuildAllOrNone(build_ext):
    """Compiled modules call each other's C: all of them, or the package as it is, which needs no compiler."""

    def run(self) -> None:
        """Compile, or say why not and take away what an earlier compilation left."""
        in_place = self.inplace
        try:
            choose_compiler()
            self.parallel = self.parallel or os.cpu_count()
            super().run()
        except CCompilerError as error:
            self.inplace = in_place
            for module in self.extensions:
                Path(self.get_ext_fullpath(module.name)).unlink(missing_ok=True)
            self.extensions: list[Extension] = []
            print(
                f"warning: not compiled, features take hundreds of times longer: {error}. It takes a C compiler, or"
                " `pip install ziglang`, and Python.h (Debian's package python3-dev).",
                file=sys.stderr,
            )


os.chdir(Path(__file__).resolve().parent)
write_row()
modules = cythonize(
    [*COMPILED, Extension(SHARED, sources=[])], shared_utility_qualified_name=SHARED,
    language_level=3, compiler_directives=DIRECTIVES, build_dir="build/cython", quiet=True,
)  # fmt: skip
for module in modules:
    module.extra_compile_args = FLAGS
setup(ext_modules=modules, cmdclass={"build_ext": BuildAllOrNone})
