"""The backend that asks a Triton model server over gRPC. Needs the extra ``triton``."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, cast

import grpc
import numpy as np
from numpy.typing import NDArray

from service.errors import DeadlineExceeded, ModelUnavailable, SentinelError
from service.model.backend import INPUT_FEATURES, INPUT_LENGTHS, OUTPUT_PROBABILITIES, infer_in_chunks
from service.runtime.deadline import Deadline
from service.runtime.timing import timed

PATIENCE_S = 30.0
"""A server that is silent for so long is treated as dead, also when the caller set no deadline or a longer one."""

_PARALLEL = 4  # chunks of one request in flight: keeps the server's instances busy, leaves room for other requests

CHANNEL_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # gRPC's default grows to two minutes: a restarted server would stay unused for that long.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # A new channel is a new connection: else channels of one target share theirs, the dead one too.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),  # a model server is near: a proxy of the environment is for the world outside
    # Notices a server whose machine is gone, while calls wait; pings without calls would be too many for Triton.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
)

_REASONS = {
    grpc.StatusCode.UNAVAILABLE: "the model server cannot be reached or is not ready",
    grpc.StatusCode.NOT_FOUND: "the model server does not serve this version of the model",
    grpc.StatusCode.INVALID_ARGUMENT: "the model server refused the input: its model does not fit this gateway",
    grpc.StatusCode.RESOURCE_EXHAUSTED: "the model server has no room for the request",
    grpc.StatusCode.UNIMPLEMENTED: "the address does not answer as a Triton server",
    grpc.StatusCode.UNAUTHENTICATED: "the model server refused this gateway",
    grpc.StatusCode.PERMISSION_DENIED: "the model server refused this gateway",
}


Outgoing = Callable[[], AbstractContextManager[dict[str, str]]]
"""Surrounds a call of the server; what it gives goes into the metadata of that call."""


def untraced() -> AbstractContextManager[dict[str, str]]:
    """Surround a call with nothing; an `Outgoing`."""
    return nullcontext({})


class TritonBackend:
    """Asks for exactly one version of one model on a Triton server."""

    any_length = False  # its batcher joins requests of one length
    on_trial = False

    def __init__(self, url: str, model: str, version: int, outgoing: Outgoing = untraced) -> None:
        """Remember the server at ``url`` ("HOST:PORT"); connects on first use, so that it need not be up yet.

        Raises:
            ModelUnavailable: the extra ``triton`` is not installed.
        """
        self._triton = _tritonclient()
        self._model = model
        self._version = str(version)
        self._url = url
        self._outgoing = outgoing
        self._client: Any = None  # made in the event loop that will use it
        self._old: set[Any] = set()  # clients that were renewed, as long as calls may use them

    async def infer(
        self, features: NDArray[np.float32], lengths: NDArray[np.int64], deadline: Deadline
    ) -> NDArray[np.float32]:
        """See `Backend.infer`; the deadline travels to the server."""
        run = partial(self._run, self._open())  # the same to the end of this call, whoever renews it meanwhile
        return await infer_in_chunks(run, features, lengths, deadline, parallel=_PARALLEL)

    def _open(self) -> Any:  # noqa: ANN401 - tritonclient has no types
        """Return the client, made now if there is none."""
        if self._client is None:
            self._client = self._triton.InferenceServerClient(self._url, channel_args=CHANNEL_OPTIONS)
        return self._client

    async def prepare(self) -> None:
        """See `Backend.prepare`: the server loads its models by itself."""

    async def retire(self) -> None:
        """See `Backend.retire`: as above."""

    async def renew(self) -> None:
        """See `Backend.renew`; calls of now keep the old channel for as long as they may take."""
        old, self._client = self._client, None
        if old is not None:
            self._old.add(old)
            asyncio.get_running_loop().call_later(PATIENCE_S, lambda: asyncio.ensure_future(self._let_go(old)))

    async def close(self) -> None:
        """Close the channel; running calls fail with ModelUnavailable."""
        for client in (*self._old, self._client):
            if client is not None:
                await self._let_go(client)

    async def _let_go(self, client: Any) -> None:  # noqa: ANN401 - tritonclient has no types
        self._old.discard(client)
        await client.close()

    async def _run(
        self,
        client: Any,  # noqa: ANN401 - as above
        features: NDArray[np.float32],
        lengths: NDArray[np.int64],
        deadline: Deadline,
    ) -> NDArray[np.float32]:
        left_s = deadline.left_s
        inputs = [
            self._input(INPUT_FEATURES, features, "FP32"),
            self._input(INPUT_LENGTHS, lengths, "INT64"),
        ]
        try:
            with timed("infer", int(lengths.sum())), self._outgoing() as headers:
                result = await client.infer(
                    self._model,
                    inputs,
                    model_version=self._version,
                    outputs=[self._triton.InferRequestedOutput(OUTPUT_PROBABILITIES)],
                    headers=headers or None,
                    client_timeout=PATIENCE_S if left_s is None else min(left_s, PATIENCE_S),
                )
            probabilities = result.as_numpy(OUTPUT_PROBABILITIES)
        except Exception as error:
            # Not only its own exception: a closed channel is a UsageError, a truncated tensor a ValueError.
            raise map_error(error, patience_over=left_s is None or left_s > PATIENCE_S) from error
        if probabilities is None:
            raise ModelUnavailable(f"the model server answered without {OUTPUT_PROBABILITIES}")
        return cast("NDArray[np.float32]", probabilities)

    def _input(self, name: str, array: NDArray[Any], datatype: str) -> Any:  # noqa: ANN401 - tritonclient has no types
        tensor = self._triton.InferInput(name, list(array.shape), datatype)
        tensor.set_data_from_numpy(array)
        return tensor


def map_error(error: Exception, *, patience_over: bool = False) -> SentinelError:
    """Return what a caller may know of a failure of tritonclient or gRPC.

    Args:
        error: what tritonclient or gRPC raised.
        patience_over: an exceeded deadline was `PATIENCE_S`, not the caller's.
    """
    code = _status_code(error)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        if patience_over:
            return ModelUnavailable(f"the model server did not answer within {PATIENCE_S:.0f} s")
        return DeadlineExceeded("the model did not answer before the deadline")
    return ModelUnavailable(_REASONS.get(code, "the model server failed") if code else "the model server failed")


def _status_code(error: Exception) -> grpc.StatusCode | None:
    """Return the gRPC status of ``error``; None if it has none (the client failed before or after the call)."""
    if isinstance(error, grpc.RpcError):
        return error.code()
    status = getattr(error, "status", None)  # of InferenceServerException: () -> "StatusCode.NOT_FOUND" or None
    name = str(status()).removeprefix("StatusCode.") if callable(status) else ""
    return grpc.StatusCode.__members__.get(name)


def _tritonclient() -> Any:  # noqa: ANN401 - a module without types
    try:
        return importlib.import_module("tritonclient.grpc.aio")
    except ImportError as error:
        raise ModelUnavailable(
            "the Triton backend needs the extra 'triton': pip install 'epc-sentinel[triton]'"
        ) from error
