"""Server reflection, so that grpcurl and its like need no proto file."""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf import descriptor_pool
from grpc_reflection.v1alpha import reflection  # type: ignore[import-untyped]


class _Pool:
    """The default descriptor pool, which also finds the file of a method: ``grpcurl describe SERVICE.METHOD`` asks."""

    def __init__(self) -> None:
        self._pool: Any = descriptor_pool.Default()  # type: ignore[no-untyped-call]

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the pool has
        return getattr(self._pool, name)

    def FindFileContainingSymbol(self, symbol: str) -> Any:  # noqa: ANN401, N802 - a FileDescriptor; name and type are the pool's
        """Return the file of a symbol; raises KeyError if there is none."""
        try:
            return self._pool.FindFileContainingSymbol(symbol)
        except KeyError:
            # The C implementation does not look into services; the file of the service is that of its methods.
            return self._pool.FindServiceByName(symbol.rpartition(".")[0]).file


def add_reflection(server: grpc.aio.Server, services: tuple[str, ...]) -> None:
    """Let the server describe ``services`` and itself."""
    reflection.enable_server_reflection((*services, reflection.SERVICE_NAME), server, pool=_Pool())
