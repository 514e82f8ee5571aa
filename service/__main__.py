"""The console script ``epc-sentinel``: its commands, and how each failure of theirs ends."""

from __future__ import annotations

import errno
import io
import os
import sys
import traceback
from typing import Annotated

import typer
from typer.exceptions import TyperException

from service.commands import analyze, bench, replay, serve, studies, training, verify
from service.errors import CommandError, SentinelError

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

app = typer.Typer(
    name="epc-sentinel",
    help="Finds forged, cloned, misplaced, misordered and mistimed barcode scans in a supply chain.",
    no_args_is_help=True,
    add_completion=False,
)


@app.callback()
def _all_commands(debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of failures.")] = False) -> None:
    """Read by `main`, which handles failures of all commands."""
    del debug


for command in (serve, analyze, replay, verify, training, bench, studies):
    app.add_typer(command.app)


def main() -> None:
    """Run a command. Whatever fails, the user gets one line and an exit code, and a traceback only with --debug."""
    # gRPC's C core writes lines of its own to stderr, amid JSON logs; what it reports there it also raises.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    # onnxruntime 1.29 and newer report home about every model unless told not to.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what the terminal has no letter for is written as an escape
            stream.reconfigure(errors="backslashreplace")
    try:
        code = app(standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except BrokenPipeError:
        # The reader of stdout went away (| head). Nothing can be said there any more, not even at exit.
        sys.stdout = None
        code = 0
    except Exception as error:
        code = _fail(error)
    sys.exit(code)


def _fail(error: Exception) -> int:
    if "--debug" in sys.argv:
        traceback.print_exc()
    if isinstance(error, TyperException):
        message = error.format_message()  # empty where the help was printed instead
        text, code = f"{message} (see epc-sentinel COMMAND --help)" if message else "", error.exit_code
    elif isinstance(error, CommandError):
        text, code = str(error), error.exit_code
    elif isinstance(error, SentinelError):
        text, code = str(error), 1
    elif isinstance(error, OSError) and error.errno in _NO_ROOM:
        text, code = (
            f"{error.filename or 'a file'}: no room to write it ({error.strerror}): free some, and try again",
            1,
        )
    else:
        text, code = f"unexpected {type(error).__name__}: {error} (epc-sentinel --debug COMMAND shows where)", 1
    for line in text.splitlines():
        print(f"error: {line}", file=sys.stderr)
    return code


if __name__ == "__main__":
    main()
