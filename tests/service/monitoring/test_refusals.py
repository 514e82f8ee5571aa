"""Refused calls in the audit log: who and why is there, and a flood of them is few lines."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc

from service.monitoring.records import Refusal
from service.monitoring.refusals import MAX_KINDS, Refusals
from tests.support.gateway import SERVICE, Gateway
from tests.support.requests import Metadata, call, many, request, scan
from tests.support.secrets import bearer, key_entry, new_token

BODY = request(scan(1)).SerializeToString()


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def refusal(caller: str = "key:a", reason: str = "more than 5 calls per second", port: int = 1) -> Refusal:
    return Refusal("Analyze", f"r{port}", caller, f"ipv4:10.0.0.7:{port}", "RESOURCE_EXHAUSTED", reason)


def told(refusals: Refusals, refused: Refusal) -> int:
    """Return how many refused calls are told of at once."""
    first = refusals.note(refused)
    return first["refused"] if first else 0


def test_the_first_of_a_kind_is_told_at_once_and_the_others_once_per_interval() -> None:
    clock = Clock()
    refusals = Refusals(60, clock)
    assert [told(refusals, refusal(port=port)) for port in range(4)] == [1, 0, 0, 0], "a port is no other caller"
    assert told(refusals, refusal(reason="data[17].event_time: is missing")) == 1
    assert told(refusals, refusal(reason="data[4].event_time: is missing")) == 0, "nor is a place another reason"
    assert told(refusals, refusal("key:b")) == 1
    assert refusals.due() == []
    clock.now_s = 60.0
    counts = [(one["caller"], one["refused"], one["request_id"], one["reason"]) for one in refusals.due()]
    assert counts == [
        ("key:a", 3, "r3", "more than 5 calls per second"),
        ("key:a", 1, "r1", "data[4].event_time: is missing"),
    ]
    assert told(refusals, refusal()) == 0, "it goes on: counted from now on"
    assert told(refusals, refusal("key:b")) == 1, "it had stopped: told at once"
    clock.now_s = 120.0
    assert [one["refused"] for one in refusals.due()] == [1]
    clock.now_s = 180.0
    assert refusals.due() == []


def test_who_comes_from_everywhere_gets_a_bounded_number_of_lines() -> None:
    clock = Clock()
    refusals = Refusals(60, clock)
    lines = sum(told(refusals, refusal(f"anonymous@{number}")) for number in range(10_000))
    summaries = refusals.due(now=True)
    assert lines == MAX_KINDS
    assert [(one["caller"], one["code"], one["refused"]) for one in summaries] == [
        ("", "RESOURCE_EXHAUSTED", 10_000 - MAX_KINDS)
    ]
    assert len(json.dumps(refusals.note(refusal(reason="x" * 100_000)))) < 1_000


def test_a_gateway_says_who_was_refused_and_why(start_gateway: Callable[..., Gateway], tmp_path: Path) -> None:
    analyst, admin = new_token(), new_token()
    (tmp_path / "keys.toml").write_text(key_entry("backend", analyst, "analyze") + key_entry("ops", admin, "admin"))
    log = tmp_path / "audit.jsonl"
    gateway = start_gateway(
        "--auth-keys", str(tmp_path / "keys.toml"), "--audit-log", str(log), "--max-events-per-request", "10",
        "--rate-limit-events-per-s", "5", "--max-message-bytes", "2000",
    )  # fmt: skip

    def ask(body: bytes, metadata: Metadata, method: str = "Analyze") -> str:
        try:
            call(gateway.target, method, body, metadata=metadata)
        except grpc.RpcError as error:
            return str(error.code().name)
        return "OK"

    assert ask(BODY, bearer(analyst)) == "OK"
    asked = Counter(
        [
            *(ask(BODY, ()) for _ in range(3)),
            *(ask(BODY, bearer("wrong")) for _ in range(3)),
            ask(BODY, bearer(admin)),
            ask(BODY, bearer(admin), "Odd"),
            ask(b"\xff", bearer(analyst)),
            ask(many(11).SerializeToString(), bearer(analyst)),
            ask(many(300).SerializeToString(), bearer(analyst)),
            ask(many(9).SerializeToString(), bearer(analyst)),
            ask(many(9).SerializeToString(), bearer(analyst)),
        ]
    )
    gateway.stop()
    text = log.read_text()
    entries: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines()]
    found: Counter[tuple[str, str, str]] = Counter()
    for one in entries:
        found[one["caller"], one["code"], one["reason"]] += one.get("refused", 0)
    expected = {
        ("anonymous", "UNAUTHENTICATED", "no bearer token"): 3,
        ("anonymous", "UNAUTHENTICATED", "unknown key"): 3,
        ("key:ops", "PERMISSION_DENIED", "this caller may not call this method: ask the operator for the role"): 2,
        ("key:backend", "INVALID_ARGUMENT", "request: is not a valid epcsentinel.v1.AnalyzeRequest message"): 1,
        ("key:backend", "INVALID_ARGUMENT", "data: has 11 events, the limit is 10: send several requests"): 1,
    }
    assert found.items() >= expected.items()
    exhausted = sum(count for (_, code, _), count in found.items() if code == "RESOURCE_EXHAUSTED")
    assert exhausted == asked["RESOURCE_EXHAUSTED"] - 1  # the one that is too large is seen otherwise:
    [large] = [reason for _, code, reason in found if code == "CANCELLED"]
    assert "--max-message-bytes" in large
    assert all(one["peer"].startswith("ipv4:127.0.0.1:") for one in entries), entries
    assert analyst not in text
    assert "wrong" not in text


def test_a_flood_of_refused_calls_does_not_fill_the_disk(start_gateway: Callable[..., Gateway], tmp_path: Path) -> None:
    (tmp_path / "keys.toml").write_text(key_entry("backend", new_token(), "analyze"))
    log = tmp_path / "audit.jsonl"
    gateway = start_gateway("--auth-keys", str(tmp_path / "keys.toml"), "--audit-log", str(log))

    def flood(_: int) -> int:
        with grpc.insecure_channel(gateway.target, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            analyze = channel.unary_unary(f"/{SERVICE}/Analyze")
            calls = (analyze.future(BODY, metadata=bearer(f"x{number}")) for number in range(200))
            return sum(ended.code() is grpc.StatusCode.UNAUTHENTICATED for ended in calls)

    with ThreadPoolExecutor(4) as pool:
        refused = sum(pool.map(flood, range(4)))
    gateway.stop()
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    assert refused == sum(one["refused"] for one in entries) == 800
    assert len(entries) <= 4


def test_a_flood_of_refused_calls_is_few_lines_of_the_log(
    start_gateway: Callable[..., Gateway], tmp_path: Path
) -> None:
    (tmp_path / "keys.toml").write_text(key_entry("backend", new_token(), "analyze"))
    gateway = start_gateway("--auth-keys", str(tmp_path / "keys.toml"))
    with grpc.insecure_channel(gateway.target) as channel:
        calls = [channel.unary_unary(f"/{SERVICE}/Analyze").future(BODY, metadata=bearer(str(n))) for n in range(300)]
        assert {ended.code() for ended in calls} == {grpc.StatusCode.UNAUTHENTICATED}
    [first] = [line for line in gateway.log() if line["event"] == "refused"]
    gateway.terminate()
    gateway.wait()
    first, summary = (line for line in gateway.log() if line["event"] == "refused")
    assert "calls" not in first
    assert (first["address"], first["code"], first["reason"]) == ("127.0.0.1", "UNAUTHENTICATED", "unknown key")
    assert (summary["address"], summary["calls"]) == ("127.0.0.1", 299)
    assert summary["since"]
