"""The report of the flawed world, for all tests of this folder."""

from __future__ import annotations

import pytest

from tests.support.folders.flawed import NOW, flawed
from training.inspection.report import Inspection, inspect_folder


@pytest.fixture(scope="session")
def found(tmp_path_factory: pytest.TempPathFactory) -> Inspection:
    """What is found in the flawed folder."""
    folder = tmp_path_factory.mktemp("flawed")
    return inspect_folder(flawed(folder), folder / "page" / "report.html", NOW)
