"""The manifest's text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from service.events.vocabulary import MODES, TYPES, OperatingPoint
from service.model.manifest import Ensemble, Manifest
from service.model.repository import read_manifest
from tests.support.gateway import ROOT

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


@pytest.mark.parametrize("model", ["epc_lstm", "epc_svm"])
def test_manifests_of_earlier_releases_keep_their_bytes(model: str) -> None:
    path = ROOT / "model_repository" / model / "1" / "manifest.json"
    content = json.loads(path.read_text())
    content.pop("baseline", None)
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n"
    manifest = Manifest.model_validate_json(text)
    assert manifest.baseline is None
    assert manifest.to_json() == text


def test_a_baseline_is_kept_and_must_have_the_features_of_the_model(small_repository: Path) -> None:
    manifest = read_manifest(small_repository / "epc_lstm" / "1" / "manifest.json", "v1")

    def text(features: int, types: int = TYPES) -> str:
        rows = [[0.5 * row + column for column in range(features)] for row in range(types)]
        content = json.loads(manifest.to_json()) | {"baseline": dict.fromkeys(MODES, rows)}
        return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n"

    F = len(manifest.features)
    assert Manifest.model_validate_json(text(F)).to_json() == text(F)
    with pytest.raises(ValueError, match="baseline must have one number per feature"):
        Manifest.model_validate_json(text(F - 1))
    with pytest.raises(ValueError, match=f"at least {TYPES} items"):
        Manifest.model_validate_json(text(F, TYPES - 1))
