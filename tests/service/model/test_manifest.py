"""The manifest's text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from service.events.vocabulary import OperatingPoint
from service.model.manifest import Ensemble, Manifest
from service.model.repository import read_manifest

ONES = [[1.0] * 5] * 2


def test_manifest_text_is_canonical(small_repository: Path) -> None:
    path = small_repository / "epc_lstm" / "1" / "manifest.json"
    manifest = read_manifest(path, "v1")
    assert manifest.to_json() == path.read_text()
    shuffled = dict(reversed(json.loads(manifest.to_json()).items()))
    assert Manifest.model_validate_json(json.dumps(shuffled)).to_json() == manifest.to_json()


def test_a_manifest_without_operating_points_has_the_text_of_an_earlier_release(small_repository: Path) -> None:
    path = small_repository / "epc_lstm" / "1" / "manifest.json"
    assert "operating_points" not in path.read_text()
    manifest = read_manifest(path, "v1")
    points = {OperatingPoint.PRECISE: manifest.thresholds}
    combination = Ensemble(lstm=ONES, svm=ONES, bias=ONES, thresholds=manifest.thresholds)
    for changed in ({"operating_points": points}, {"ensemble": combination}):
        text = manifest.model_copy(update=changed).to_json()
        assert Manifest.model_validate_json(text).to_json() == text
    assert json.loads(text)["ensemble"].keys() == {"lstm", "svm", "bias", "thresholds"}


def test_manifest_refuses_numbers_that_json_does_not_have(small_repository: Path) -> None:
    manifest = read_manifest(small_repository / "epc_lstm" / "1" / "manifest.json", "v1")
    with pytest.raises(ValueError, match="not JSON compliant"):
        manifest.model_copy(update={"metrics": {"ap": float("nan")}}).to_json()
