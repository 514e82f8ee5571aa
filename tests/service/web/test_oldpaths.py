"""The old paths to the letter: what is asked and what is answered, byte for byte."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict, Parse

from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from service.web.oldpaths import examples
from service.web.oldpaths.routes import PATH, SIDE_BY_SIDE
from tests.support.command import assert_one_line, run
from tests.support.gateway import ROOT, Gateway
from tests.support.requests import NORMAL_CODE, analyze
from tests.support.web.server import Web

REAL = ROOT / "tests" / "data" / "real_events_request.json"
SNAKE: dict[str, Any] = examples.REQUESTS["snake"]["value"]
CAMEL: dict[str, Any] = examples.REQUESTS["camel"]["value"]
FIELDS = ("event_id", "epc_code", "location_id", "business_step", "event_type", "event_time", "file_id")


def event(event_id: int = 1, **fields: object) -> dict[str, object]:
    day = event_id if type(event_id) is int and 0 < event_id < 10 else 1
    usual = {"event_id": event_id, "epc_code": NORMAL_CODE, "location_id": 1, "business_step": "Factory"}
    usual |= {"event_type": "Aggregation", "event_time": f"2025-07-0{day} 10:34:17", "file_id": 1}
    return {name: value for name, value in (usual | fields).items() if value is not ...}


def faults(web: Web, *events: object, path: str = PATH) -> list[tuple[str, str]]:
    answer = web.post(path, {"data": events})
    assert (answer.status, answer.headers["content-type"]) == (400, "application/problem+json"), answer.body
    return [(one["field"], one["message"]) for one in answer.json()["errors"]]


def test_the_example_is_answered_byte_for_byte_as_documented(web: Web) -> None:
    answer = web.post(PATH, SNAKE)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.body.decode() == (
        '{"fileId":1,"method":"rule-based","EventHistory":[{"eventId":12347,"epcFake":true,"epcFakeScore":100.0}],'
        '"epcAnomalyStats":[{"epcCode":"001.FORGED","totalEvents":1,"jumpCount":0,"evtOrderErrCount":0,"epcFakeCount":1,'
        '"epcDupCount":0,"locErrCount":0}],"fileAnomalyStats":{"totalEvents":1,"jumpCount":0,"evtOrderErrCount":0,'
        '"epcFakeCount":1,"epcDupCount":0,"locErrCount":0},"warning":""}'
    )
    assert answer.json() == examples.RULES


@pytest.mark.parametrize(
    ("path", "shown"),
    [(f"{PATH}/lstm", examples.LSTM), (f"{PATH}/svm", examples.SVM), (SIDE_BY_SIDE, examples.ENSEMBLE)],
)
def test_other_detectors_answer_in_the_shape_of_their_examples(web: Web, path: str, shown: dict[str, Any]) -> None:
    answer = web.post(path, SNAKE).json()
    assert list(answer) == list(shown)
    assert answer["method"] == shown["method"]
    assert list(answer["EventHistory"][0]) == list(shown["EventHistory"][0])
    assert answer["EventHistory"][0]["eventId"] == 12347
    assert list(answer.get("mlSummaryStats", {})) == list(shown.get("mlSummaryStats", {}))


def test_a_request_without_findings_has_empty_lists(web: Web) -> None:
    assert web.post(PATH, {"data": [event()]}).body.decode() == (
        '{"fileId":1,"method":"rule-based","EventHistory":[],"epcAnomalyStats":[],"fileAnomalyStats":{"totalEvents":0,'
        '"jumpCount":0,"evtOrderErrCount":0,"epcFakeCount":0,"epcDupCount":0,"locErrCount":0},"warning":""}'
    )


@pytest.mark.parametrize(("path", "detector"), [("", 2), ("/lstm", 1), ("/svm", 3)])
def test_real_rows_are_judged_as_by_grpc_in_every_spelling(
    web: Web, gateway: Gateway, path: str, detector: pb.Detector.ValueType
) -> None:
    asked = Parse(REAL.read_text(), pb.AnalyzeRequest())
    asked.detector = detector
    rows = MessageToDict(asked)["data"]
    expected = web.post(PATH + path, {"data": rows}).body
    found = MessageToDict(analyze(gateway.target, asked))
    told = json.loads(expected)
    assert told["fileAnomalyStats"] == found["fileAnomalyStats"]
    assert [{**one, "eventId": str(one["eventId"])} for one in told["EventHistory"]] == found.get("EventHistory", [])
    named = asked.DESCRIPTOR.fields_by_name["data"].message_type.fields_by_name
    snake = [
        {
            name: int(value) if name.endswith("_id") else value
            for name in FIELDS
            if (value := row.get(named[name].json_name))
        }
        for row in rows
    ]
    assert web.post(PATH + path, {"data": snake}).body == expected
    local = [row | {"event_time": _seoul(row["event_time"])} for row in snake]
    assert web.post(PATH + path, {"data": local}).body == expected


def _seoul(time: str) -> str:
    """Return what the clock on the wall shows at an instant in UTC."""
    return (datetime.fromisoformat(time) + timedelta(hours=9)).strftime("%Y-%m-%d %H:%M:%S")


def test_the_body_may_name_the_detector_and_ask_why(web: Web) -> None:
    for named in ("rules", "RULES", "DETECTOR_RULES", 2):
        assert web.post(f"{PATH}/lstm", SNAKE | {"detector": named}).json()["method"] == "rule-based"
    assert web.post(f"{PATH}/lstm", SNAKE | {"detector": 0}).json()["method"] == "lstm-deep-learning"
    told = web.post(PATH, SNAKE | {"explain": True}, Accept_Language="ko").json()["EventHistory"][0]
    assert told["epcFakeCause"]
    assert any("가" <= letter <= "힣" for letter in told["epcFakeReason"])
    answer = web.post(PATH, SNAKE | {"detector": "oracle", "explain": "perhaps"}).json()
    assert [one["field"] for one in answer["errors"]] == ["detector", "explain"]


def test_words_of_old_callers_are_understood(web: Web) -> None:
    plain = [
        event(1),
        event(2, location_id=13, business_step="Logistics_HUB", event_type="HUB_Inbound"),
        event(3, location_id=23, business_step="W_Stock", event_type="W_Stock_Inbound"),
        event(4, location_id=74, business_step="R_Stock", event_type="R_Stock_Inbound"),
    ]
    steps = ("Factory", "distribution", "Wholesaler", " Retail ")
    dashed = NORMAL_CODE.replace(".", "-")
    old = [
        {**one, "business_step": step, "event_type": "Observation", "epc_code": dashed}
        for one, step in zip(plain, steps, strict=True)
    ]
    expected = web.post(PATH, {"data": plain}).body.decode()
    assert "totalEvents" in expected
    assert web.post(PATH, {"data": old}).body.decode() == expected.replace(NORMAL_CODE, dashed)


def test_a_table_of_aliases_of_ones_own(gateway: Gateway, tmp_path: Path) -> None:
    table = tmp_path / "aliases.toml"
    table.write_text('[business_step]\nLager = "WMS"\n[event_type]\nrein = "WMS_Inbound"\n')
    places = tmp_path / "places.csv"
    places.write_text("location_id,scan_location\n5,Halle\n")
    row = event(location_id=..., scan_location="Halle", business_step="Lager", event_type="rein")
    with Web(gateway.target, tmp_path / "kept", "--aliases", str(table), "--locations", str(places)) as own:
        assert own.post(PATH, {"data": [row]}).body == own.post(
            PATH, {"data": [event(location_id=5, business_step="WMS", event_type="WMS_Inbound")]}
        ).body  # fmt: skip
    table.write_text('[business_step]\nLager = "Keller"\n')
    assert_one_line(
        run("web", "--port", "0", "--aliases", str(table)), 2, "business_step", "'Keller' is no business step"
    )
    assert_one_line(run("web", "--port", "0", "--locations", str(table)), 2, "not a location master")


def test_a_place_by_its_name(web: Web) -> None:
    by_id = web.post(PATH, {"data": [event(location_id=5)]}).body
    assert web.post(PATH, {"data": [event(location_id=..., scan_location="인천공장창고")]}).body == by_id
    assert web.post(PATH, {"data": [event(location_id=..., scanLocation=5)]}).body == by_id
    unknown = web.post(PATH, {"data": [event(location_id=..., scan_location="<b>Mars</b>")]}).json()
    assert "not in the location master" in unknown["warning"]


@pytest.mark.parametrize(
    ("fields", "field", "part"),
    [
        ({"event_id": 2**53}, "event_id", "beyond 2^53"),
        ({"event_id": str(2**53 + 1)}, "event_id", "beyond 2^53"),
        ({"event_id": 1e300}, "event_id", "beyond 2^53"),
        ({"event_id": -(2**53)}, "event_id", "beyond 2^53"),
        ({"event_id": ...}, "event_id", "is missing"),
        ({"event_id": 1.5}, "event_id", "no whole number"),
        ({"event_id": True}, "event_id", "no whole number"),
        ({"file_id": 2**63}, "file_id", "beyond 2^53"),
        ({"location_id": [1]}, "location_id", "no whole number"),
        ({"location_id": 2**53, "scan_location": "인천공장창고"}, "location_id", "beyond 2^53"),
        ({"location_id": ..., "scan_location": str(2**53)}, "scan_location", "beyond 2^53"),
        ({"location_id": ..., "scan_location": 1e300}, "scan_location", "beyond 2^53"),
        ({"location_id": ..., "scan_location": -(10**30)}, "scan_location", "beyond 2^53"),
        ({"location_id": ..., "scan_location": True}, "scan_location", "no place"),
        ({"epc_code": 7}, "epc_code", "no text"),
        ({"event_time": ...}, "event_time", "is missing"),
        ({"event_time": "01/02/2025"}, "event_time", "without a guess"),
        ({"event_time": True}, "event_time", "without a guess"),
        ({"eventTime": "2025-07-02 00:00:00"}, "event_time", "twice"),
    ],
    ids=str,
)
def test_what_cannot_be_used_is_named_by_its_field(web: Web, fields: dict[str, Any], field: str, part: str) -> None:
    [(named, why)] = faults(web, event(5, epc_code="x"), event(**({"event_id": 1} | fields)))
    assert named == f"data[1].{field}"
    assert part in why


def test_the_gateways_own_errors_have_their_fields(web: Web) -> None:
    assert faults(web, event(1), event(1))[0][0] == "data[1].event_id"
    assert faults(web, event(1), event(2, file_id=2))[0][0] == "data[1].file_id"
    assert [field for field, _ in faults(web, *[{}] * 200)][:2] == ["data[0].event_id", "data[1].event_id"]


@pytest.mark.parametrize(
    ("body", "part"),
    [
        (b"", "no JSON"),
        (b'{"data": [', "line 1, column 11"),
        (b"[]", "no JSON object"),
        (b'{"data": []}', "no events"),
        (b'{"data": 7}', "no events"),
        (b'{"data": [7]}', "data[0]"),
        (b'{"data": NaN}', "NaN"),
        (b"[" * 100_000, "nested"),
        (b'{"data": ' + b"9" * 5_000 + b"}", "body"),
        ('{"data": [{"scan_location": "인천공장"}]}'.encode("cp949"), "looks like cp949"),
        (b'{"data": "\xff\xfe"}', "not UTF-8"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_no_such_json_is_a_problem(web: Web, body: bytes, part: str) -> None:
    answer = web.post(PATH, body)
    assert (answer.status, answer.headers["content-type"]) == (400, "application/problem+json")
    assert part in answer.body.decode()


def test_a_body_that_says_it_is_cp949_is_read_as_that(web: Web) -> None:
    body = {"data": [event(location_id=..., scan_location="인천공장창고", epc_code="가짜")]}
    korean = json.dumps(body, ensure_ascii=False).encode("cp949")
    answer = web.post(PATH, korean, Content_Type="application/json; charset=cp949")
    assert (answer.status, answer.body) == (200, web.post(PATH, body).body)
    assert "가짜" in answer.body.decode()
    assert web.post(PATH, body, Content_Type="application/json; charset=latin-1").status == 415


def test_sizes(web: Web) -> None:
    pad = {"pad": "x" * 10 * 2**20}  # fields that nobody knows are left out
    assert web.post(PATH, SNAKE | pad).body == web.post(PATH, SNAKE).body
    assert web.post(PATH, b" " * 33 * 2**20).status == 413
    assert web.post(PATH, SNAKE, Content_Encoding="gzip").status == 415


def test_a_code_of_any_letters_comes_back(web: Web) -> None:
    for code in ("<script>alert(1)</script>", "\x00\u2028", "", "\U0001f600", "-----"):
        answer = web.post(PATH, {"data": [event(epc_code=code)]}).json()
        assert answer["epcAnomalyStats"][0]["epcCode"] == code
    assert (
        web.post(PATH, b'{"data": [{"event_id": 1, "epc_code": "\\ud800", "event_time": "2025-07-01"}]}').status == 200
    )


def test_the_bundled_master_is_that_of_the_simulator() -> None:
    assert (ROOT / "service/web/data/locations.csv").read_bytes() == (ROOT / "training/data/locations.csv").read_bytes()
