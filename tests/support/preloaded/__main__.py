"""``python -m tests.support.preloaded FILE``: imports what commands do, and forks one for each request.

A request comes by the socket that FILE is the number of: {"arguments", "environment"}, with two files for stdout and
stderr, is answered with the process id; {"reap": process id} with the exit code.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import socket
import sys
import threading
import time

# As service.__main__ sets them before it imports anything.
os.environ |= {"GRPC_VERBOSITY": "NONE", "GRPC_ENABLE_FORK_SUPPORT": "0", "ORT_DISABLE_TELEMETRY": "1"}

MODULES = (
    "rich.console",
    "structlog",
    "typer",
    "service.commands.flow.group",
    "service.gateway.server",
    "service.web.serve",
    "service.jobs.analyze",
    "training.train",
    "export.run",
    "tritonclient.grpc.aio",
    "uvloop",
)
"""What takes commands long."""


def serve(control: socket.socket) -> None:
    """Fork for each request until the other end is closed; return in what was forked, set up for its command."""
    while True:
        message, files, _, _ = socket.recv_fds(control, 2**20, 2)
        if not message:
            os._exit(0)
        request = json.loads(message)
        if "reap" in request:
            _, status = os.waitpid(request["reap"], 0)
            control.send(str(os.waitstatus_to_exitcode(status)).encode())
        elif pid := os.fork():
            control.send(str(pid).encode())
            for file in files:
                os.close(file)
        else:
            control.close()
            for number, file in enumerate(files, 1):
                os.dup2(file, number)
                os.close(file)
            os.environ.clear()
            os.environ.update(request["environment"])
            time.tzset()
            sys.argv[1:] = request["arguments"]
            return


def run() -> int:
    """Run the command and return its exit code."""
    try:
        runpy.run_module("service", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def leave(code: int) -> None:
    """End as the interpreter does, threads and what was registered for the exit first, but for taking all apart.

    What has been imported would take longer for that than most commands take.
    """
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os._exit(code)


for module in MODULES:
    importlib.import_module(module)
gc.collect()
gc.freeze()
serve(socket.socket(fileno=int(sys.argv[1])))
leave(run())
