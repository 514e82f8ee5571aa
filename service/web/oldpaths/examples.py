"""What the documentation shows of the old paths: requests in both spellings, and answers as they come."""

from __future__ import annotations

from typing import Any

_CODE = "001.8804823.1293291.010004.20250701.000004002"

_SNAKE: dict[str, Any] = {
    "data": [
        {
            "event_id": 12347,
            "epc_code": "001.FORGED",
            "location_id": 1,
            "business_step": "Factory",
            "event_type": "Aggregation",
            "event_time": "2025-07-01T10:34:17",
            "file_id": 1,
        },
        {
            "event_id": 12348,
            "epc_code": _CODE,
            "scan_location": "인천공장창고",
            "business_step": "WMS",
            "event_type": "WMS_Inbound",
            "event_time": "2025-07-01T11:02:38+09:00",
            "file_id": 1,
        },
    ]
}
_CAMEL = {
    "data": [
        {"eventId": 1, "epcCode": _CODE.replace(".", "-"), "locationId": 1, "businessStep": "Factory"}
        | {"eventType": "Observation", "eventTime": "2025-07-01 10:34:17", "fileId": 7},
        {"eventId": 2, "epcCode": _CODE.replace(".", "-"), "locationId": 13, "businessStep": "Distribution"}
        | {"eventType": "Observation", "eventTime": "2025-07-30 02:09:38", "fileId": 7},
    ],
    "detector": "rules",
}
REQUESTS = {
    "snake": {"summary": "Fields in snake_case; a time with and one without zone", "value": _SNAKE},
    "camel": {"summary": "Fields in camelCase, words of old callers, the detector named", "value": _CAMEL},
}

_STATS = {
    "totalEvents": 1,
    "jumpCount": 0,
    "evtOrderErrCount": 0,
    "epcFakeCount": 1,
    "epcDupCount": 0,
    "locErrCount": 0,
}


def _answer(method: str, score: float, version: str = "", **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    scores = {name: value for name, value in more.items() if name != "mlSummaryStats"}
    summary = {"mlSummaryStats": more["mlSummaryStats"]} if "mlSummaryStats" in more else {}
    return {
        "fileId": 1,
        "method": method,
        "EventHistory": [{"eventId": 12347, "epcFake": True, "epcFakeScore": score, **scores}],
        "epcAnomalyStats": [{"epcCode": "001.FORGED", **_STATS}],
        "fileAnomalyStats": _STATS,
        **({"modelVersion": version} if version else {}),
        **summary,
        "warning": "",
    }


RULES = _answer("rule-based", 100.0)
LSTM = _answer("lstm-deep-learning", 99.9, "epc_lstm/1")
SVM = _answer("svm-one-class", 99.9, "epc_svm/1")
ENSEMBLE = _answer(
    "ensemble",
    99.9,
    "epc_lstm/1 epc_svm/1",
    lstmSequenceScore=99.9,
    svmOutlierScore=99.9,
    mlCombinedScore=99.9,
    ruleScore=100.0,
    mlSummaryStats={
        "meanLstmSequenceScore": 50.1,
        "meanSvmOutlierScore": 50.2,
        "meanMlCombinedScore": 50.1,
        "meanRuleScore": 50.0,
    },
)

_EVENT = {
    "type": "object",
    "required": ["event_id", "event_time"],
    "description": "Each field in snake_case or in camelCase; what is not named here is ignored.",
    "properties": {
        "event_id": {"type": "integer", "maximum": 2**53 - 1, "description": "unique within the request"},
        "epc_code": {"type": "string", "description": "header.company.product.lot.date.serial; judged, never refused"},
        "location_id": {"type": "integer", "description": "of the location master; unknown ones are judged"},
        "scan_location": {"type": "string", "description": "name of the place, in the place of location_id"},
        "business_step": {"type": "string"},
        "event_type": {"type": "string"},
        "event_time": {"type": "string", "description": "without a zone: what the clock of the site showed"},
        "file_id": {"type": "integer", "description": "one for all events of the request"},
    },
}
SCHEMA = {
    "type": "object",
    "required": ["data"],
    "properties": {
        "data": {"type": "array", "minItems": 1, "items": _EVENT},
        "detector": {"type": "string", "description": "wins over the path: rules, lstm, svm, ensemble"},
        "explain": {"type": "boolean", "description": "each finding says why"},
        "operating_point": {"type": "string", "enum": ["precise", "balanced", "sensitive"]},
    },
}

_PROBLEM = {"application/problem+json": {"schema": {"type": "object"}}}
ERRORS = {
    "400": {
        "description": "What cannot be used, field by field",
        "content": {
            "application/problem+json": {
                "example": {
                    "type": "about:blank",
                    "title": "Bad Request",
                    "status": 400,
                    "detail": "data[0].event_time is missing: send the time of the scan",
                    "errors": [
                        {"field": "data[0].event_time", "message": "is missing: send the time of the scan"},
                    ],
                }
            }
        },
    },
    "413": {"description": "The body is too large", "content": _PROBLEM},
    "429": {"description": "Too much at a time: try again after Retry-After", "content": _PROBLEM},
    "503": {"description": "The gateway is away", "content": _PROBLEM},
}
