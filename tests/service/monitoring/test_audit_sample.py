"""The audit sample as gateways draw it: at the rates of the version that answered, the challenger beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from service.detect.detector import Judgement
from service.detect.names import Method
from service.features.table import feature_spec_hash
from service.feedback.sampling import AuditSamples
from service.feedback.sql import open_verdicts
from service.model.repository import load
from service.monitoring.audit_sample import SampleWriter
from service.monitoring.records import Analysis
from tests.service.feedback.samples import JUMP, events_at


def test_each_version_has_rates_of_its_own_and_a_challenger_those_of_who_answered(
    bundled_repository: Path, tmp_path: Path
) -> None:
    bundled = load(bundled_repository, feature_spec_hash=feature_spec_hash()).manifest
    unsure = {  # a version whose scores are all in the middle
        mode: {"histograms": {f"score_{kind}": {"cuts": [0.3, 0.7], "counts": [0, 10_000, 0]} for kind in kinds}}
        for mode, kinds in {"retrospective": ["jump"], "causal": ["jump"]}.items()
    }
    samples = AuditSamples(0.01)
    samples.add("epc_lstm/1", bundled)
    samples.add("epc_lstm/2", bundled.model_copy(update={"histograms": unsure}))
    events = events_at(np.full(4_000, bundled.reference["location_id"][0]))  # type: ignore[index,call-overload]
    scores = np.zeros((len(events), 5), dtype=np.float32)
    scores[:, JUMP] = 0.5

    def judged(version: str, by: float = 0.5) -> Judgement:
        return Judgement(scores * np.float32(by / 0.5), scores > 1, Method.LSTM, version, wiring=version)

    store = open_verdicts(str(tmp_path))
    writer = SampleWriter(store, samples)

    def answered(version: str) -> Analysis:
        analysis = Analysis("Analyze", "", "", "", b"", events=events, judgement=judged(version))
        analysis.code = "OK"
        return analysis

    for version in ("epc_lstm/1", "epc_lstm/2", "epc_lstm/3"):  # of the third nothing is known: it came and went
        writer.analysed(answered(version))
    writer.close()
    first, second = store.sample("epc_lstm/1"), store.sample("epc_lstm/2")
    [usual], [rare] = ({event.probability for event in found} for found in (second, first))
    assert rare > 1.5 * usual, "scores that a version seldom gives are looked at more often"
    assert 0 < len(second) < len(first) < len(events) / 20
    assert not store.sample("epc_lstm/3")

    writer = SampleWriter(store, samples)
    writer.judged_twice(events, False, judged("epc_lstm/1"), judged("epc_lstm/2", by=0.25))
    writer.analysed(answered("epc_lstm/1"))  # sent again
    samples.remove("epc_lstm/1")
    writer.analysed(answered("epc_lstm/1"))
    writer.close()
    told, beside = store.sample("epc_lstm/1"), store.shadow("epc_lstm/2")
    assert {event.event_id for event in first} < {event.event_id for event in told}, "what is rare for it is drawn, too"
    assert [event.event_id for event in beside] == sorted(event.event_id for event in told)
    [higher] = {event.probability for event in (*told, *beside)}
    assert higher > rare
    assert {event.scores[JUMP] for event in beside} == {0.25}
    store.add_shadow([event._replace(scores=(0.0,) * 5) for event in beside[:10]])
    assert store.shadow("epc_lstm/2") == beside, "the first word stays"
    store.close()
