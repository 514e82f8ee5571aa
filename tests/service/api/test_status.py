"""Errors to statuses: the map is complete, and nothing of ours shows."""

from __future__ import annotations

import grpc
import pytest
from google.rpc import error_details_pb2

from service.api.status import CODES, status_of
from service.errors import InvalidRequest, ModelRepositoryError, Overloaded, SentinelError


def gateway_errors() -> list[type[SentinelError]]:
    """Return the errors that the gateway defines; the training side has more, if a test has imported it."""
    found = [SentinelError]
    for kind in found:
        found += kind.__subclasses__()
    return [kind for kind in found[1:] if kind.__module__.startswith("service.")]


def test_the_map_of_errors_is_complete() -> None:
    assert set(CODES) == set(gateway_errors())


@pytest.mark.parametrize("error", [RuntimeError("/secret/path"), ModelRepositoryError("/secret/path"), KeyError("epc")])
def test_internal_errors_show_nothing_of_themselves(error: Exception) -> None:
    status = status_of(error, "id-1")
    assert (status.code, status.message, status.trailers) == (grpc.StatusCode.INTERNAL, "internal error, id id-1", ())


def test_overload_says_when_to_retry() -> None:
    status = status_of(Overloaded("too many calls", retry_after_s=2.5), "id-1")
    [retry] = status.details
    assert status.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert isinstance(retry, error_details_pb2.RetryInfo)
    assert retry.retry_delay.ToMilliseconds() == 2500


def test_one_huge_violation_is_still_reported() -> None:
    [detail] = status_of(InvalidRequest([("data", "x" * 5000)]), "id-1").details
    assert isinstance(detail, error_details_pb2.BadRequest)
