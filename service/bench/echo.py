"""A gRPC server that does nothing: ``python -m service.bench.echo``. What is left of a call is the cost of gRPC."""

from __future__ import annotations

import json
from typing import Any

import grpc
import uvloop

METHOD = "/epcsentinel.bench.Echo/Echo"

_ANSWER_SHARE = 8
"""A gateway's answer is about an eighth of the request: only flagged events are in it."""


async def _echo(raw: bytes, _context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
    return raw[: len(raw) // _ANSWER_SHARE]


async def _serve() -> None:
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1)])
    _, service, name = METHOD.split("/")
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {name: grpc.unary_unary_rpc_method_handler(_echo)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(json.dumps({"event": "listening", "port": port}), flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(_serve())
