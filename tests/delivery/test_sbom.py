"""The list of what the image consists of, as a command of the repository makes it."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests.delivery.lock import pins
from tests.support.gateway import ROOT


@pytest.fixture(scope="module")
def sbom() -> str:
    subprocess.run(
        ["make", "--old-file=.venv/dev", f"BIN={Path(sys.executable).parent}", "sbom"],
        cwd=ROOT, check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    return (ROOT / "build" / "sbom.cdx.json").read_text()


def hashes_of(part: dict[str, Any]) -> list[str]:
    return sorted(one["content"] for reference in part["externalReferences"] for one in reference["hashes"])


def test_it_is_cyclonedx(sbom: str) -> None:
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(sbom) is None
    assert validator.validate_str(sbom.replace('"type": "library"', '"type": "thing"')), "the check can fail"


def test_it_names_every_package_of_the_lock_with_its_version_and_hashes(sbom: str) -> None:
    content = json.loads(sbom)
    listed = {(part["name"], part["version"], *hashes_of(part)) for part in content["components"]}
    assert listed == {(pin.requirement.name, pin.version, *sorted(pin.hashes)) for pin in pins("gateway")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    described = content["metadata"]["component"]
    assert (described["name"], described["version"]) == (project["name"], project["version"])
