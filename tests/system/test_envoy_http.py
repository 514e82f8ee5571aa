"""The Java backend's old HTTP paths, through the real Envoy with the project's configuration."""

from __future__ import annotations

import hashlib
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import MessageToDict

from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from tests.servers.envoy import NOBODY, Envoy
from tests.support.client import METHOD
from tests.support.gateway import ROOT, Gateway
from tests.support.requests import call, many, request, scan

PATH = "/api/manager/export-and-analyze-async"
FORGED = request(scan(12347, epc_code="001.FORGED"), scan(12348))
BODY = MessageToDict(FORGED)

# The example of the contract; the types of its values are the types of every answer.
COUNTS = {
    "totalEvents": 2, "jumpCount": 0, "evtOrderErrCount": 0, "epcFakeCount": 1, "epcDupCount": 0, "locErrCount": 1,
}  # fmt: skip
CONTRACT = {
    "fileId": "1",
    "method": "lstm-deep-learning",
    "EventHistory": [
        {"eventId": "12347", "epcFake": True, "epcFakeScore": 92.1, "locErr": True, "locErrScore": 78.6},
    ],
    "epcAnomalyStats": [{"epcCode": "001...", **COUNTS}],
    "fileAnomalyStats": COUNTS,
}
FINDING = {"eventId"} | {kind + end for kind in ("epcFake", "epcDup", "locErr", "evtOrderErr", "jump") for end in ("", "Score")}  # fmt: skip  # noqa: E501


@pytest.fixture(scope="module")
def envoy(gateway: Gateway) -> Iterator[Envoy]:
    with Envoy(gateway.target) as running:
        running.wait_healthy("stable", 1)
        yield running


def ask(envoy: Envoy, path: str, body: object = None, token: str = "", method: str | None = None) -> tuple[int, Any]:
    """Return (status, JSON): a POST of ``body``, or a GET without one; with a bearer token if there is one."""
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    asked = urllib.request.Request(f"http://{envoy.target}{path}", data, headers, method=method)
    if token:
        asked.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            assert answer.headers["content-type"] == "application/json"
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error) if error.headers["content-type"] == "application/json" else error.read()


def test_the_answer_has_the_shape_that_the_backend_stores(envoy: Envoy, gateway: Gateway) -> None:
    status, answer = ask(envoy, PATH + "/lstm", BODY)
    assert status == 200
    assert list(answer) == [*CONTRACT, "modelVersion"]
    assert answer["fileId"] == "1"
    assert list(answer["epcAnomalyStats"][0]) == ["epcCode", *COUNTS]
    assert list(answer["fileAnomalyStats"]) == list(COUNTS)
    [finding] = [finding for finding in answer["EventHistory"] if finding["eventId"] == "12347"]
    assert finding["epcFake"] is True
    for row in answer["EventHistory"]:
        assert row.keys() <= FINDING
        for key, value in row.items():
            assert isinstance(value, str if key == "eventId" else (int, float) if key.endswith("Score") else bool)
    assert all(isinstance(n, int) for n in answer["fileAnomalyStats"].values())
    # The same as a gRPC client reads.
    assert answer == MessageToDict(
        pb.AnalyzeResponse.FromString(call(gateway.target, "Analyze", FORGED.SerializeToString()))
    )


@pytest.mark.parametrize(
    ("path", "body", "method"),
    [
        ("", BODY, "rule-based"),
        ("?detector=DETECTOR_SVM", BODY, "svm-one-class"),
        ("", BODY | {"detector": "DETECTOR_LSTM"}, "lstm-deep-learning"),
        ("/lstm", BODY | {"detector": "DETECTOR_RULES"}, "rule-based"),
        ("", BODY | {"detector": "DETECTOR_ENSEMBLE"}, "ensemble"),
        ("/lstm", BODY, "lstm-deep-learning"),
    ],
)
def test_the_path_or_the_body_names_the_detector(envoy: Envoy, path: str, body: object, method: str) -> None:
    status, answer = ask(envoy, PATH + path, body)
    assert (status, answer["method"]) == (200, method)


def test_the_path_of_the_svm_asks_for_the_svm(envoy: Envoy) -> None:
    status, answer = ask(envoy, PATH + "/svm", BODY)
    assert (status, answer["method"]) == (200, "svm-one-class")
    assert list(answer) == [*CONTRACT, "modelVersion"]
    assert answer["modelVersion"] == "epc_svm/1"
    [finding] = [finding for finding in answer["EventHistory"] if finding["eventId"] == "12347"]
    assert finding["epcFake"] is True
    assert finding["epcFakeScore"] >= 99
    assert answer["fileAnomalyStats"]["epcFakeCount"] == len(
        [row for row in answer["EventHistory"] if "epcFake" in row]
    )
    assert all(row.keys() <= FINDING for row in answer["EventHistory"])


def test_a_detector_that_the_models_do_not_have_is_not_implemented(
    start_gateway: Callable[..., Gateway], two_versions: Path
) -> None:
    with Envoy(start_gateway("--backend", f"onnx:{two_versions}").target) as envoy:  # version 2 has no SVMs
        envoy.wait_healthy("stable", 1)
        status, answer = ask(envoy, PATH + "/svm", BODY)
        assert status == 501
        assert answer["message"].startswith("DETECTOR_SVM is not available: the model repository has no epc_svm")
        assert ask(envoy, PATH + "/lstm", BODY)[0] == 200


def test_an_error_is_json_with_its_details(envoy: Envoy) -> None:
    status, answer = ask(envoy, PATH, {"data": [{"eventId": 1}]})
    assert (status, answer["code"]) == (400, 3)
    [detail] = answer["details"]
    assert detail["@type"] == "type.googleapis.com/google.rpc.BadRequest"
    assert [violation["field"] for violation in detail["fieldViolations"]] == ["data[0].event_time"]


@pytest.mark.parametrize("body", [b'{"data": [', b"\xff\xfe", b'{"data": 7}', b"7"])
def test_what_is_no_such_json_is_a_bad_request(envoy: Envoy, body: bytes) -> None:
    status, answer = ask(envoy, PATH, body)
    assert (status, answer["code"]) == (400, 3)
    assert answer["message"]


@pytest.mark.parametrize(
    ("method", "path"), [("POST", PATH + "/forest"), ("GET", PATH), ("PUT", PATH), ("POST", "/health"), ("GET", "/")]
)
def test_an_unknown_path_or_method_is_not_found(envoy: Envoy, method: str, path: str) -> None:
    status, answer = ask(envoy, path, b"{}" if method != "GET" else None, method=method)
    assert (status, answer) == (404, {"code": 5, "message": f"Could not resolve {path} to a method."})


def test_what_is_too_large_is_said(envoy: Envoy) -> None:
    status, answer = ask(envoy, PATH, {"data": [{"epcCode": "x" * 1_000_000}] * 40})
    assert (status, answer["code"]) == (429, 8)  # the gateway's limit is 32 MiB; Envoy keeps 64
    status, answer = ask(envoy, PATH, BODY, token="x" * 70_000)
    assert (status, answer["code"]) == (431, 8)


def test_envoys_own_errors_of_grpc_stay_those_of_grpc(envoy: Envoy) -> None:
    with grpc.insecure_channel(envoy.target) as channel, pytest.raises(grpc.RpcError) as nobody:
        channel.unary_unary(METHOD)(b"", timeout=10, metadata=[("x-canary", "always")])
    assert (nobody.value.code(), nobody.value.details()) == (grpc.StatusCode.UNAVAILABLE, "no healthy upstream")


def test_health(envoy: Envoy) -> None:
    assert ask(envoy, "/health") == (200, {"status": "SERVING"})
    assert ask(envoy, "/health?unknown=1") == (200, {"status": "SERVING"})


def test_the_callers_token_reaches_the_gateway(start_gateway: Callable[..., Gateway], tmp_path: Path) -> None:
    token = "0123456789abcdef" * 4
    keys = tmp_path / "keys.toml"
    digest = hashlib.sha256(token.encode()).hexdigest()
    keys.write_text(f'[[key]]\nname = "backend"\nsha256 = "{digest}"\nroles = ["analyze"]\n')
    with Envoy(start_gateway("--auth-keys", str(keys)).target) as guarded:
        guarded.wait_healthy("stable", 1)
        assert ask(guarded, PATH, BODY, token)[0] == 200
        assert ask(guarded, PATH, BODY)[0] == 401
        assert ask(guarded, PATH, BODY, token[::-1])[0] == 401
        assert ask(guarded, "/health") == (200, {"status": "SERVING"})


def test_health_without_a_gateway_is_unavailable() -> None:
    with Envoy(NOBODY) as alone:
        assert ask(alone, "/health") == (503, {"code": 14, "message": "no healthy upstream"})


def test_a_large_request_passes(envoy: Envoy) -> None:
    body = MessageToDict(many(20_000, detector=pb.DETECTOR_RULES))
    status, answer = ask(envoy, PATH, body)
    assert (status, answer["method"]) == (200, "rule-based")


def test_the_paths_are_those_of_the_contract() -> None:
    text = (ROOT / "protos/epcsentinel/v1/anomaly.proto").read_text()
    assert [line.split('"')[1] for line in text.splitlines() if "post: " in line] == [PATH, PATH + "/svm", PATH + "/lstm"]  # fmt: skip  # noqa: E501
