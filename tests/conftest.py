"""Fixtures shared by all tests, each in the module of its subject; and programs that tests need."""

import os
from collections import Counter

import pytest

from tests.support.processes import need

# Before torch is imported, for this process and those of the tests: threads of OpenMP wait in spin loops, and on two
# cores that servers and other tests use too, a loop of small steps takes ten times as long with two of them.
os.environ.setdefault("OMP_NUM_THREADS", "1")

pytest_plugins = [
    "tests.support.preloaded",
    "tests.training.flow.plants",
    "tests.support.gateway",
    "tests.delivery.image",
    "tests.servers.triton.fixture",
    "tests.support.trained",
    "tests.servers.postgres",
    "tests.servers.valkey",
    "tests.support.versions",
    "tests.support.web.browser",
    "tests.support.web.server",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files of few tests first where files are dealt out to processes.

    Those tests take longest, whole programs and their servers, and one that begins last keeps all others waiting.
    """
    if "PYTEST_XDIST_WORKER" in os.environ:
        tests = Counter(item.path for item in items)
        items.sort(key=lambda item: tests[item.path])  # stable: files of as many stay together


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Look whether what a test ``needs(there, reason)`` is there."""
    for mark in item.iter_markers("needs"):
        need(*mark.args)
