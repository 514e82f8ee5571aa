"""Options of gRPC: the library takes a name that it does not know without a word, and nothing comes of it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import grpc._cython
import pytest

from tests.support.gateway import ROOT

OPTION = re.compile(r"grpc\.[a-z0-9_.]+")
[LIBRARY] = [path.read_bytes() for path in Path(*grpc._cython.__path__).glob("cygrpc*.so")]


@cache
def is_known(name: str) -> bool:
    """Return whether the installed library has a string that is this name."""
    return re.search(rb"(?<![a-z_.])" + re.escape(name.encode()) + rb"\0", LIBRARY) is not None


def pairs(tree: ast.AST) -> Iterator[str]:
    """Yield the names of all pairs of a name of gRPC and a value."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Tuple) and len(node.elts) == 2 and isinstance(node.elts[0], ast.Constant):
            name = node.elts[0].value
            if isinstance(name, str) and OPTION.fullmatch(name):
                yield name


@pytest.mark.parametrize("folder", ["service", "training", "export", "tests", "k8s"])
def test_every_option_that_is_set_is_one_that_the_library_knows(folder: str) -> None:
    files = (ROOT / folder).rglob("*.py")
    unknown = {str(file.relative_to(ROOT)): set(pairs(ast.parse(file.read_text()))) for file in files}
    unknown = {file: {name for name in names if not is_known(name)} for file, names in unknown.items()}
    assert {file: names for file, names in unknown.items() if names} == {}


def test_the_search_tells_a_name_from_one_that_is_not() -> None:
    assert is_known("grpc.http2.min_ping_interval_without_data_ms")
    assert not is_known("grpc.http2.min_recv_ping_interval_without_data_ms")
    assert not is_known("grpc.http2.min_ping_interval")
    assert set(pairs(ast.parse("x = [('grpc.so_reuseport', 1), ('other', 2)]"))) == {"grpc.so_reuseport"}
