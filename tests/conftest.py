"""Fixtures shared by all tests; each lives in the module of its subject."""

import os

# Before torch is imported, for this process and those of the tests: threads of OpenMP wait in spin loops, and on two
# cores that servers and other tests use too, a loop of small steps takes ten times as long with two of them.
os.environ.setdefault("OMP_NUM_THREADS", "1")

pytest_plugins = [
    "tests.support.gateway",
    "tests.servers.triton.fixture",
    "tests.support.trained",
    "tests.servers.valkey",
    "tests.support.versions",
]
