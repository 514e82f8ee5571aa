"""Reflection under both of its names; `tests/system/test_grpcurl.py` has a tool that asks the older one."""

from __future__ import annotations

import grpc
import pytest
from google.protobuf import descriptor_pb2
from grpc_reflection.v1alpha import reflection_pb2

from tests.support.gateway import SERVICE, Gateway

NAMES = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")


@pytest.mark.parametrize("name", NAMES)
def test_services_are_listed_and_described(gateway: Gateway, name: str) -> None:
    asked = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=f"{SERVICE}.Analyze"),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=name),
    ]
    with grpc.insecure_channel(gateway.target) as channel:
        ask = channel.stream_stream(
            f"/{name}/ServerReflectionInfo",
            reflection_pb2.ServerReflectionRequest.SerializeToString,
            reflection_pb2.ServerReflectionResponse.FromString,
        )
        listed, contract, own = ask(iter(asked), timeout=10)
    assert [one.name for one in listed.list_services_response.service] == [
        SERVICE,
        "epcsentinel.v1.FlowService",
        "grpc.health.v1.Health",
        *NAMES,
    ]
    files = [
        descriptor_pb2.FileDescriptorProto.FromString(answer.file_descriptor_response.file_descriptor_proto[0])
        for answer in (contract, own)
    ]
    assert [(file.package, file.service[0].name) for file in files] == [
        ("epcsentinel.v1", "AnomalyService"),
        (name.rpartition(".")[0], "ServerReflection"),
    ]
    assert files[1].service[0].method[0].input_type == f".{files[1].package}.ServerReflectionRequest"
