"""The HTTP port of the metrics: there if asked for, and said at the start if it cannot be."""

from __future__ import annotations

import socket
from contextlib import closing

import pytest

from tests.support.gateway import Gateway


def test_a_port_in_use_is_said_at_the_start() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken, pytest.raises(RuntimeError, match="--metrics-port"):
        Gateway("--metrics-port", str(taken.getsockname()[1]))


def test_there_is_no_http_port_without_the_setting(gateway: Gateway) -> None:
    assert gateway.wait_log("listening")["metrics_port"] is None
