"""What the page of the gateway's health reads from its metrics."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from service.web.pages.metrics import DriftSeen, read_metrics, seen_in
from tests.support.processes import free_ports

TEXT = """# TYPE epc_sentinel_model_info gauge
epc_sentinel_model_info{model_version="epc_lstm/1",feature_spec_hash="a"} 1
# TYPE epc_sentinel_dependency_up gauge
epc_sentinel_dependency_up{dependency="svm"} 0
# TYPE epc_sentinel_events_total counter
epc_sentinel_events_total{method="lstm",model_version="epc_lstm/1"} 7
epc_sentinel_events_total{method="rules",model_version="rules"} 5
# TYPE epc_sentinel_findings_total counter
epc_sentinel_findings_total{kind="jump",model_version="epc_lstm/1"} 2
epc_sentinel_findings_total{kind="jump",model_version="rules"} 1
# TYPE epc_sentinel_drift_alarm gauge
epc_sentinel_drift_alarm{model_version="epc_lstm/1",mode="causal"} 1
# TYPE epc_sentinel_drift_distance gauge
epc_sentinel_drift_distance{model_version="epc_lstm/1",mode="causal",feature="gap_prev"} 0.1
epc_sentinel_drift_distance{model_version="epc_lstm/1",mode="causal",feature="lane_z"} 0.5
epc_sentinel_drift_distance{model_version="epc_lstm/1",mode="retrospective",feature="lane_z"} 0.9
# HELP epc_sentinel_history_items Items of the history.
# TYPE epc_sentinel_history_items gauge
epc_sentinel_history_items 3
"""


def test_the_metrics_of_a_gateway_are_summed_up() -> None:
    seen = seen_in(text_string_to_metric_families(TEXT))
    assert (seen.models, seen.dependencies, seen.events) == (("epc_lstm/1",), (("svm", False),), 12)
    assert dict(seen.findings) == {"epcFake": 0, "epcDup": 0, "locErr": 0, "evtOrderErr": 0, "jump": 3}
    assert seen.drift == (DriftSeen("epc_lstm/1", "causal", True, (("lane_z", 0.5), ("gap_prev", 0.1))),)
    assert seen.history == (("Items of the history", 3.0),)


def test_who_does_not_answer_is_told_so() -> None:
    assert read_metrics(f"http://127.0.0.1:{free_ports(1)[0]}/metrics") is None
