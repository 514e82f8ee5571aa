"""A finding says how often such findings are wrong, where it is known and asked for."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from service.api.responses import build_responses
from service.detect.names import DetectorName
from service.events.vocabulary import KINDS
from service.gateway.build import build_wiring
from service.model.manifest import MANIFEST_FILE, ExpectedError, Manifest
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from service.settings import Settings
from tests.support.worlds import journey, to_events

FAKE = KINDS.index("epcFake")
EVENTS = to_events(journey("no code at all"))
"""Ten scans of an item whose code is malformed: each is a finding, whatever the model makes of it."""


@pytest.fixture(scope="module")
def expected(exported: Path) -> ExpectedError:
    manifest = Manifest.model_validate_json((exported / "epc_lstm" / "1" / MANIFEST_FILE).read_text())
    assert manifest.expected_error is not None
    return manifest.expected_error


def answer(
    repository: Path, *, stream: bool, explain: bool = True, detector: DetectorName = DetectorName.LSTM
) -> list[pb.EventFinding]:
    """Return the findings of EVENTS, in the order of time; without ``stream`` they are judged as a whole journey."""

    async def judged() -> list[pb.EventFinding]:
        wiring = build_wiring(Settings(backend=f"onnx:{repository}", history="none"))
        try:
            ask = wiring.analyzer.stream().follow if stream else wiring.analyzer.analyze
            judgement = await ask(EVENTS, detector, explain=explain)
            told = wiring.explainer.explain(judgement, "en") if explain else None
            [found] = build_responses(EVENTS, judgement, told)
            return list(found.event_history)
        finally:
            await wiring.close()

    return asyncio.run(judged())


def test_it_is_that_of_the_known_events_and_of_the_most_doubtful_kind(exported: Path, expected: ExpectedError) -> None:
    findings = answer(exported, stream=True)
    assert len(findings) == len(EVENTS)
    flags = ("epc_fake", "epc_dup", "loc_err", "evt_order_err", "jump")
    for before, finding in enumerate(findings):
        shares = [expected[kind][min(before, 4)] for kind, flag in enumerate(flags) if getattr(finding, flag)]
        assert finding.expected_error == pytest.approx(100 * max(shares), abs=1e-4)
    assert findings[0].epc_fake


def test_only_findings_that_are_explained_and_judged_by_the_past_alone_have_it(exported: Path) -> None:
    for found in (
        answer(exported, stream=True, explain=False),
        answer(exported, stream=False),
        answer(exported, stream=True, detector=DetectorName.RULES),
        answer(exported, stream=True, detector=DetectorName.ENSEMBLE),
    ):
        assert found
        assert not any(finding.HasField("expected_error") for finding in found)


def test_a_model_of_an_earlier_release_does_not_say(exported: Path, tmp_path: Path) -> None:
    text = (exported / "epc_lstm" / "1" / MANIFEST_FILE).read_text()
    manifest = Manifest.model_validate_json(text).model_copy(update={"expected_error": None})
    assert "expected_error" not in manifest.to_json()
    for path in exported.rglob("*"):
        if path.is_file():
            copy = tmp_path / path.relative_to(exported)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    (tmp_path / "epc_lstm" / "1" / MANIFEST_FILE).write_text(manifest.to_json())
    assert not any(finding.HasField("expected_error") for finding in answer(tmp_path, stream=True))
