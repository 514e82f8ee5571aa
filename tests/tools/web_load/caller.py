"""A caller of the gateway, in a process of its own: in that of those who look and upload, it would wait for them."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor

import grpc

from tests.support.client import METHOD
from tests.support.requests import request, scan


async def caller(target: str, seconds: float) -> list[float]:
    """Send the gateway requests of 50 events by gRPC, ten a second; return the latencies in milliseconds."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return await asyncio.get_running_loop().run_in_executor(process, _call, target, seconds)


def _call(target: str, seconds: float) -> list[float]:
    body = request(*(scan(at, epc_code=f"001.8804823.1293291.010004.20250701.{at // 5:09d}") for at in range(50)))
    latencies = list[float]()
    with grpc.insecure_channel(target) as channel:
        ask = channel.unary_unary(METHOD)
        ask(body.SerializeToString())  # connects
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            began_s = time.perf_counter()
            ask(body.SerializeToString())
            latencies.append(1e3 * (time.perf_counter() - began_s))
            time.sleep(0.1)
    return latencies
