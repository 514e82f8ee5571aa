"""The audit log: what it says, that nothing answered is missing in it, and what happens when its disk fails."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent import futures
from contextlib import suppress
from pathlib import Path

import grpc
import numpy as np
import pytest

from service.detect.detector import Judgement
from service.detect.names import Method
from service.errors import CommandError
from service.monitoring import audit
from service.monitoring.audit import AuditLog
from service.monitoring.records import Analysis
from tests.support.gateway import ROOT, Gateway
from tests.support.observed import entries, samples, scrape, value
from tests.support.processes import wait_for
from tests.support.requests import call, many, request, scan
from tests.support.worlds import journey, to_events

LARGE = 10**9


def analysis(request_id: str = "r1") -> Analysis:
    events = to_events(journey("damaged"))
    flags = np.zeros((len(events), 5), dtype=np.bool_)
    flags[:3, 0] = flags[0, 4] = True
    judgement = Judgement(flags.astype(np.float32), flags, Method.LSTM, "epc_lstm/1")
    return Analysis(
        "Analyze", request_id, "erp", "ipv4:10.0.0.1:9", b"raw", "lstm", events, judgement, b"answer", "OK", "", 0.0125
    )


def test_an_entry_says_who_asked_what_and_what_came_of_it() -> None:
    found = audit.entry(analysis())
    assert found.pop("time").endswith("+00:00")
    assert found == {
        "request_id": "r1",
        "caller": "erp",
        "peer": "ipv4:10.0.0.1:9",
        "method": "Analyze",
        "detector": "lstm",
        "judged_by": "lstm-deep-learning",
        "model_version": "epc_lstm/1",
        "warning": "",
        "file_ids": [1],
        "file_count": 1,
        "events": 10,
        "epcs": 1,
        "findings": {"epcFake": 3, "epcDup": 0, "locErr": 0, "evtOrderErr": 0, "jump": 1},
        "request_sha256": hashlib.sha256(b"raw").hexdigest(),
        "answer_sha256": hashlib.sha256(b"answer").hexdigest(),
        "code": "OK",
        "reason": "",
        "duration_ms": 12.5,
    }


def test_a_full_file_is_put_aside_and_nothing_is_deleted(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.jsonl", max_bytes=5_000)
    for number in range(60):
        log.analysed(analysis(str(number)))
    log.close()
    assert [entry["request_id"] for entry in entries(tmp_path / "audit.jsonl")] == [str(n) for n in range(60)]
    sizes = [file.stat().st_size for file in tmp_path.iterdir()]
    assert len(sizes) > 5
    assert max(sizes) <= 5_000
    assert (log.written, log.dropped) == (60, 0)


def test_a_log_goes_on_after_a_line_that_a_crash_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_text('{"request_id":"0"}\n{"requ')
    log = AuditLog(path, max_bytes=LARGE)
    log.analysed(analysis("2"))
    log.close()
    lines = path.read_text().splitlines()
    assert (lines[0], lines[1]) == ('{"request_id":"0"}', '{"requ')
    assert json.loads(lines[2])["request_id"] == "2"


def test_a_full_queue_drops_and_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "QUEUE_ENTRIES", 10)
    pipe = tmp_path / "audit.jsonl"
    os.mkfifo(pipe)  # a disk that takes nothing: its 64 KiB are full, and nobody reads
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    log = AuditLog(pipe, max_bytes=LARGE)
    took_s = []
    for number in range(2_000):
        given = analysis(str(number))
        began = time.monotonic()
        log.analysed(given)
        took_s.append(time.monotonic() - began)
        time.sleep(0.0001)
    assert np.median(took_s) < 0.0025, "calls have waited"  # the median: some meet other work of a busy machine
    assert log.dropped > 1_000
    arrived = b""
    closing = threading.Thread(target=log.close)
    closing.start()
    os.set_blocking(reader, True)
    while part := os.read(reader, 65536):
        arrived += part
    closing.join()
    assert len(arrived.splitlines()) == log.written == 2_000 - log.dropped


def test_a_file_that_cannot_be_written_is_said_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="--audit-log"):
        AuditLog(tmp_path / "no" / "folder" / "audit.jsonl", max_bytes=LARGE)


def test_a_disk_that_is_full_for_a_while_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = AuditLog(tmp_path / "audit.jsonl", max_bytes=LARGE)
    full, write = threading.Event(), os.write
    full.set()

    def failing(file: int, data: bytes) -> int:
        if full.is_set():
            raise OSError(28, "No space left on device")
        return write(file, data[:100])  # and then only a bit at a time

    monkeypatch.setattr(os, "write", failing)
    for number in range(5):
        log.analysed(analysis(str(number)))
    wait_for(lambda: log.failures)
    full.clear()
    log.close()
    assert [entry["request_id"] for entry in entries(tmp_path / "audit.jsonl")] == list("01234")
    assert log.failures >= 1
    assert log.dropped == 0


def test_a_gateway_logs_every_analysis_and_every_refusal(start_gateway: Callable[..., Gateway], tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    running = start_gateway("--audit-log", str(path))
    good = request(scan(1, epc_code="forged"), scan(2, epc_code="forged")).SerializeToString()
    answer = call(running.target, "Analyze", good, metadata=(("x-request-id", "good"),))
    with pytest.raises(grpc.RpcError):
        call(running.target, "Analyze", b"\xff\xff", metadata=(("x-request-id", "bad"),))
    files = request(scan(1, file_id=7), scan(2, file_id=9)).SerializeToString()
    call(running.target, "AnalyzeFiles", files, metadata=(("x-request-id", "files"),))
    with grpc.insecure_channel(running.target) as channel:
        stream = channel.stream_stream("/epcsentinel.v1.AnomalyService/AnalyzeStream")
        assert len(list(stream(iter([good, good]), metadata=(("x-request-id", "stream"),)))) == 2
    running.stop()
    found = entries(path)
    assert [(entry["request_id"], entry["method"], entry["code"]) for entry in found] == [
        ("good", "Analyze", "OK"),
        ("bad", "Analyze", "INVALID_ARGUMENT"),  # a refusal: its entry is of another form
        ("files", "AnalyzeFiles", "OK"),
        ("stream", "AnalyzeStream", "OK"),
        ("stream", "AnalyzeStream", "OK"),
    ]
    assert found[1]["refused"] == 1
    assert found[1]["reason"] == "request: is not a valid epcsentinel.v1.AnalyzeRequest message"
    first = found[0]
    assert first["request_sha256"] == hashlib.sha256(good).hexdigest()
    assert first["answer_sha256"] == hashlib.sha256(answer).hexdigest()
    assert (first["file_ids"], first["events"], first["findings"]["epcFake"]) == ([1], 2, 2)
    assert first["peer"].startswith("ipv4:127.0.0.1:")
    assert found[2]["file_ids"] == [7, 9]
    assert "forged" not in path.read_text()


def test_every_answered_call_is_in_the_log_after_a_sigterm_under_load(
    start_gateway: Callable[..., Gateway], tmp_path: Path
) -> None:
    path = tmp_path / "audit.jsonl"
    running = start_gateway("--audit-log", str(path), "--audit-max-bytes", "20000")
    body = many(200).SerializeToString()
    answered: list[str] = []

    def load(client: int) -> None:
        with grpc.insecure_channel(running.target) as channel:
            analyze = channel.unary_unary("/epcsentinel.v1.AnomalyService/Analyze")
            for number in itertools.count():
                name = f"{client}-{number}"
                try:
                    analyze(body, timeout=20, metadata=(("x-request-id", name),))
                except grpc.RpcError:
                    return
                answered.append(name)

    clients = [threading.Thread(target=load, args=(client,)) for client in range(6)]
    for client in clients:
        client.start()
    wait_for(lambda: len(answered) > 200)
    running.terminate()
    for client in clients:
        client.join()
    assert running.wait() == 0
    logged = [entry["request_id"] for entry in entries(path) if entry["code"] == "OK"]
    assert set(answered) <= set(logged)
    assert len(logged) == len(set(logged))


def test_a_file_that_somebody_renames_or_deletes_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    log = AuditLog(path, max_bytes=LARGE)
    for number, change in enumerate((lambda: path.rename(tmp_path / "audit.jsonl.1"), path.unlink, lambda: None)):
        log.analysed(analysis(str(number)))
        wait_for(lambda: not log.waiting)
        change()
    log.analysed(analysis("3"))
    log.close()
    assert [json.loads(line)["request_id"] for line in (tmp_path / "audit.jsonl.1").read_text().splitlines()] == ["0"]
    assert [json.loads(line)["request_id"] for line in path.read_text().splitlines()] == ["2", "3"]
    assert (log.written, log.dropped) == (4, 0)


def test_a_disk_that_hangs_is_seen_and_what_it_did_not_take_is_counted_and_said_at_the_end(
    start_gateway: Callable[..., Gateway], tmp_path: Path
) -> None:
    pipe = tmp_path / "audit.jsonl"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    with suppress(BlockingIOError):
        while True:
            os.write(reader, b"x" * 4096)  # full: the next write into it waits for ever
    running = start_gateway("--audit-log", str(pipe), "--metrics-port", "0")
    for _ in range(5):
        call(running.target, "Analyze", many(5).SerializeToString())
    wait_for(lambda: value(samples(scrape(running)), "audit_stalled_seconds") > 1)
    assert value(samples(scrape(running)), "audit_waiting") == 5
    running.terminate()
    assert running.wait() == 0
    [line] = [line for line in running.log() if line["event"] == "entries of the audit log are lost"]
    assert line["entries"] == 5
    os.close(reader)


@pytest.mark.parametrize("workers", [(), ("--workers", "2", "--history", "none")], ids=["one", "workers"])
def test_standard_output_has_every_entry_whole_and_nothing_else(tmp_path: Path, workers: tuple[str, ...]) -> None:
    """Through a pipe, as a container's runtime reads it; two workers write to the same one."""
    audit_log = ("--audit-log", "-")
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "service", "serve", "--port", "0", "--log-format", "json", *audit_log, *workers],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True,
        )  # fmt: skip
    try:
        while not (started := [line for line in (tmp_path / "log").read_text().splitlines() if '"listening"' in line]):
            assert process.poll() is None
            time.sleep(0.05)
        target = f"127.0.0.1:{json.loads(started[0])['port']}"
        body = request(*(scan(number, file_id=number) for number in range(200))).SerializeToString()

        def ask(number: int) -> None:
            call(target, "AnalyzeFiles", body, metadata=(("x-request-id", str(number)),))

        with futures.ThreadPoolExecutor(8) as callers:
            list(callers.map(ask, range(80)))
    finally:
        process.terminate()
        written, _ = process.communicate(timeout=60)
    found = [json.loads(line) for line in written.splitlines()]
    assert sorted(int(one["request_id"]) for one in found) == list(range(80))
    assert {one["file_count"] for one in found} == {200}
