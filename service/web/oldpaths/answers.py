"""The gateway's answer as JSON of the old paths: ids are numbers, empty lists are there, fields in one order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.message import Message

from service.pb.epcsentinel.v1 import anomaly_pb2 as pb

_FINDING = [(field.name, field.json_name) for field in pb.EventFinding.DESCRIPTOR.fields]
_COUNTS = [(field.name, field.json_name) for field in pb.FileAnomalyStats.DESCRIPTOR.fields]
_MEANS = [(field.name, field.json_name) for field in pb.MlSummaryStats.DESCRIPTOR.fields]


def answer_json(answer: pb.AnalyzeResponse, sent: Mapping[str, str], warnings: Sequence[str] = ()) -> dict[str, Any]:
    """Return an answer.

    Args:
        answer: of the gateway.
        sent: codes as the caller sent them, where the gateway got another spelling.
        warnings: what is to be said beside the gateway's warning.
    """
    told: dict[str, Any] = {
        "fileId": answer.file_id,
        "method": answer.method,
        "EventHistory": [_present(finding, _FINDING) for finding in answer.event_history],
        "epcAnomalyStats": [
            {"epcCode": sent.get(stats.epc_code, stats.epc_code), **_all(stats)} for stats in answer.epc_anomaly_stats
        ],
        "fileAnomalyStats": _all(answer.file_anomaly_stats),
    }
    if answer.model_version:
        told["modelVersion"] = answer.model_version
    if answer.HasField("ml_summary_stats"):
        told["mlSummaryStats"] = _present(answer.ml_summary_stats, _MEANS)
    told["warning"] = " ".join(filter(None, (answer.warning, *warnings)))
    return told


def _present(message: Message, fields: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Return the fields that are set; an id without presence is always there."""
    descriptor = message.DESCRIPTOR.fields_by_name
    return {
        json_name: getattr(message, name)
        for name, json_name in fields
        if not descriptor[name].has_presence or message.HasField(name)
    }


def _all(stats: pb.EpcAnomalyStats | pb.FileAnomalyStats) -> dict[str, int]:
    return {json_name: getattr(stats, name) for name, json_name in _COUNTS}
