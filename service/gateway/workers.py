"""One worker of several: its share of the settings, and a gateway that its supervisor can ask."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from service.errors import CommandError, SentinelError
from service.gateway.heart import Heart
from service.settings import STDOUT, Settings

if TYPE_CHECKING:
    from service.gateway.observers import Monitoring


def share(settings: Settings, number: int) -> Settings:
    """Return the settings of one worker: its part of what the machine bears, and a file of its own."""
    workers = settings.workers
    changes = {
        name: -(-getattr(settings, name) // workers) for name in ("max_events_in_flight", "max_calls", "max_streams")
    }
    if "onnx_threads" not in settings.model_fields_set:
        changes["onnx_threads"] = max(1, len(os.sched_getaffinity(0)) // workers)
    if settings.audit_log is not None and settings.audit_log != STDOUT:
        changes["audit_log"] = settings.audit_log.with_stem(f"{settings.audit_log.stem}-worker{number}")
    return settings.model_copy(update=changes)


def work(settings: Settings, number: int, pipe: Connection, heart: Heart) -> None:
    """Be a worker: a gateway that tells its parent by ``pipe`` that it listens, or why it cannot, and by ``heart`` that
    it lives.
    """
    import uvloop  # noqa: PLC0415 - the parent needs none of it

    from service.gateway import server  # noqa: PLC0415 - as above: gRPC, numpy, the model
    from service.monitoring import logs  # noqa: PLC0415 - as above: gRPC, numpy, the model

    for ignored in (signal.SIGINT, signal.SIGHUP):  # they reach all processes of a terminal: the parent sends SIGTERM
        signal.signal(ignored, signal.SIG_IGN)
    logs.configure(settings.log_format, settings.log_level, worker=number)

    beating: set[asyncio.Task[None]] = set()  # the loop itself holds its tasks weakly

    def bond(monitoring: Monitoring, stop: Callable[[], object]) -> None:
        beating.add(asyncio.get_running_loop().create_task(heart.beat()))
        pipe.send("")
        pages = {"metrics": monitoring.exposition, "drift": monitoring.drift}

        def answer() -> None:
            with suppress(EOFError, OSError):
                while True:
                    asked, page = pipe.recv()
                    pipe.send((asked, pages[page]()))
            stop()  # the parent is gone

        threading.Thread(target=answer, name="parent", daemon=True).start()

    try:
        uvloop.run(server.serve(settings, bond))
    except (CommandError, SentinelError) as error:
        pipe.send(str(error))
