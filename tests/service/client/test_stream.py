"""What a live stream sends to a server that breaks every stream off on purpose."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import numpy as np

from service.jobs.replay import Player, ReplayPlan
from service.jobs.tally import Tally
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from service.rawfiles.columns import read_files
from service.rawfiles.folders import raw_files
from tests.support.gateway import SERVICE


class Breaker:
    """A server of AnalyzeStream that keeps what it gets, and breaks every stream off after some requests."""

    def __init__(self, answers_per_stream: int) -> None:
        self._answers_per_stream = answers_per_stream
        self._lock = threading.Lock()
        self.streams: list[list[pb.AnalyzeRequest]] = []

    def handler(self) -> grpc.GenericRpcHandler:
        method = grpc.stream_stream_rpc_method_handler(
            self._serve, pb.AnalyzeRequest.FromString, pb.AnalyzeResponse.SerializeToString
        )
        return grpc.method_handlers_generic_handler(SERVICE, {"AnalyzeStream": method})

    def _serve(
        self, requests: Iterator[pb.AnalyzeRequest], context: grpc.ServicerContext
    ) -> Iterator[pb.AnalyzeResponse]:
        received: list[pb.AnalyzeRequest] = []
        with self._lock:
            self.streams.append(received)
        for request in requests:
            received.append(request)
            if len(received) > self._answers_per_stream:
                context.abort(grpc.StatusCode.UNAVAILABLE, "broken on purpose")
            yield pb.AnalyzeResponse(file_id=1)


@contextmanager
def breaking(breaker: Breaker) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((breaker.handler(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None)


def test_what_got_no_answer_is_sent_again_unchanged_and_in_order(replayed_world: Path, replayed_rows: int) -> None:
    breaker, tally, answered = Breaker(answers_per_stream=20), Tally(), []
    events = read_files(raw_files([replayed_world])).events
    events = events.take(np.lexsort((events.event_id, events.time_us)))
    with breaking(breaker) as target:
        plan = ReplayPlan(target, "rules", speed=0, batch=20, streams=2, limit_s=None, give_up_s=10)
        assert Player(plan, tally, answered.append).play(events, lambda: None) is None
    assert tally.events == replayed_rows
    assert tally.retries == len(breaker.streams) - 2 >= 4
    times: dict[str, tuple[int, int]] = {}
    for scan in (scan for one in answered for scan in one.request.data):
        moment = (scan.event_time.ToMicroseconds(), scan.event_id)
        assert times.get(scan.epc_code, (0, 0)) < moment  # each EPC's events once, and in the order of time
        times[scan.epc_code] = moment
    known = {one.request.SerializeToString() for one in answered}
    assert {request.SerializeToString() for stream in breaker.streams for request in stream} == known
    sent = [scan.event_id for stream in breaker.streams for request in stream for scan in request.data]
    assert len(sent) > replayed_rows  # some were sent twice


def test_an_epc_stays_in_one_stream(replayed_world: Path) -> None:
    breaker = Breaker(answers_per_stream=10_000)
    events = read_files(raw_files([replayed_world])).events
    with breaking(breaker) as target:
        plan = ReplayPlan(target, "rules", speed=0, batch=20, streams=3, limit_s=None, give_up_s=10)
        Player(plan, Tally(), lambda _: None).play(events, lambda: None)
    codes = [{scan.epc_code for request in stream for scan in request.data} for stream in breaker.streams]
    assert len(codes) == 3
    assert sum(map(len, codes)) == len(set().union(*codes)) == len(events.epc_codes)
