"""Server reflection, for tools that have no proto file: v1, which tools ask first today, and v1alpha."""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, text_format
from grpc_reflection.v1alpha import reflection, reflection_pb2  # type: ignore[import-untyped]

_V1 = "grpc.reflection.v1.ServerReflection"
"""v1alpha under its final name: the messages are the same on the wire. grpcio-reflection has v1alpha alone."""


class _Pool:
    """The default descriptor pool, which also finds the file of a method: ``grpcurl describe SERVICE.METHOD`` asks."""

    def __init__(self) -> None:
        self._pool: Any = descriptor_pool.Default()  # type: ignore[no-untyped-call]
        self._pool.AddSerializedFile(_v1_file())

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
    servicer = reflection.aio.ReflectionServicer((*services, _V1, reflection.SERVICE_NAME), pool=_Pool())
    method = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        reflection_pb2.ServerReflectionRequest.FromString,
        reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    for name in (_V1, reflection.SERVICE_NAME):
        handler = grpc.method_handlers_generic_handler(name, {"ServerReflectionInfo": method})
        server.add_generic_rpc_handlers((handler,))


def _v1_file() -> bytes:
    """Return the descriptor of grpc/reflection/v1/reflection.proto, serialised."""
    alpha = descriptor_pb2.FileDescriptorProto()
    reflection_pb2.DESCRIPTOR.CopyToProto(alpha)
    named = text_format.MessageToString(alpha)
    return text_format.Parse(named.replace("v1alpha", "v1"), descriptor_pb2.FileDescriptorProto()).SerializeToString()
