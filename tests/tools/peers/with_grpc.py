"""The detector behind a plain grpc.aio server, with the messages of the contract: parse, columns, judge in a thread.

``python -m tests.tools.peers.with_grpc PORT PROCESSES``; more processes share the port (SO_REUSEPORT).
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import uvloop

from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from tests.tools.peers.detector import Columns, Detector

METHOD = "/epcsentinel.v1.AnomalyService/Analyze"
_OPTIONS = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1), ("grpc.so_reuseport", 1))


def to_columns(request: pb.AnalyzeRequest) -> Columns:
    """Return the columns of the message."""
    data = request.data
    return Columns(
        [event.event_id for event in data],
        [event.epc_code for event in data],
        [event.location_id for event in data],
        [event.business_step for event in data],
        [event.event_type for event in data],
        np.array([event.event_time.seconds + event.event_time.nanos / 1e9 for event in data]),
    )


async def serve(port: int, threads: int) -> None:
    """Serve until SIGTERM."""
    detector = Detector()
    pool = ThreadPoolExecutor(threads)

    def judged(request: pb.AnalyzeRequest) -> pb.AnalyzeResponse:
        return pb.AnalyzeResponse(**detector.answer(to_columns(request)))

    async def analyze(request: pb.AnalyzeRequest, _context: object) -> pb.AnalyzeResponse:
        return await asyncio.get_running_loop().run_in_executor(pool, judged, request)

    handler = grpc.unary_unary_rpc_method_handler(
        analyze,
        request_deserializer=pb.AnalyzeRequest.FromString,
        response_serializer=pb.AnalyzeResponse.SerializeToString,
    )
    server = grpc.aio.server(options=_OPTIONS)
    service, _, method = METHOD[1:].partition("/")
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await server.stop(1)


def work(port: int, threads: int) -> None:
    """Be one of the processes."""
    uvloop.run(serve(port, threads))


def main(port: int, processes: int) -> None:
    """Serve with so many processes; this one is the first of them."""
    threads = max(1, len(os.sched_getaffinity(0)) // processes)
    others = [
        multiprocessing.get_context("spawn").Process(target=work, args=(port, threads)) for _ in range(processes - 1)
    ]
    for other in others:
        other.start()
    work(port, threads)
    for other in others:
        other.terminate()
        other.join()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
