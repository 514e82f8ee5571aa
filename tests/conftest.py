"""Fixtures shared by all tests; each lives in the module of its subject."""

pytest_plugins = ["tests.gateway", "tests.triton.fixture", "tests.trained", "tests.valkey", "tests.versions"]
