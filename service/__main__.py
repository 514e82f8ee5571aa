"""The console script ``epc-sentinel``: its commands, and how each failure of theirs ends."""

from __future__ import annotations

import argparse
import errno
import io
import os
import sys
import traceback
from typing import Annotated

import structlog
import typer
from typer.exceptions import TyperException
from typer.main import get_command_name

from service.commands import (
    adopt,
    analyze,
    bench,
    check,
    explain,
    feedback,
    models,
    replay,
    serve,
    studies,
    training,
    verify,
    web,
)
from service.commands.flow import group as flow
from service.commands.help import WholeHelp, way_to_help
from service.commands.loop import operate, retraining
from service.environment import ENV_PREFIX, OPERATE_PREFIX, WEB_PREFIX
from service.errors import CommandError, SentinelError, in_words
from service.settings import without_urls

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

app = typer.Typer(
    name="epc-sentinel",
    help="Finds forged, cloned, misplaced, misordered and mistimed barcode scans in a supply chain.",
    cls=WholeHelp,
    rich_markup_mode=None,
    add_completion=False,
)


@app.callback()
def _all_commands(debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of failures.")] = False) -> None:
    """Read by `main`, which handles failures of all commands."""
    del debug


for command in (
    serve,
    web,
    analyze,
    check,
    explain,
    feedback,
    replay,
    flow,
    verify,
    models,
    training,
    adopt,
    retraining,
    operate,
    bench,
    studies,
):
    app.add_typer(command.app)


def _leave_what_is_asked_for(arguments: list[str]) -> None:
    """Take all commands from `app` but those beside the one asked for, if it is one: it takes 0.05 s to build all."""
    word = next((argument for argument in arguments if argument != "--debug"), "")
    asked = [part for part in app.registered_groups if part.typer_instance and word in _names(part.typer_instance)]
    app.registered_groups = asked or app.registered_groups


def _names(part: typer.Typer) -> set[str | None]:
    """Return what the commands and the groups of commands of ``part`` are called."""
    commands = {one.name or get_command_name(one.callback.__name__) for one in part.registered_commands if one.callback}
    return commands | {group.name for group in part.registered_groups}


def main() -> None:
    """Run a command. Whatever fails, the user gets one line and an exit code, and a traceback only with --debug."""
    # gRPC's C core writes lines of its own to stderr, amid JSON logs; what it reports there it also raises.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    # Its handlers of forks abort every second process that uvloop starts beside open connections; nothing here goes on
    # with gRPC in a fork.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    # onnxruntime 1.29 and newer report home about every model unless told not to.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what the terminal has no letter for is written as an escape
            stream.reconfigure(errors="backslashreplace")
    _leave_what_is_asked_for(sys.argv[1:])
    try:
        code = app(prog_name=app.info.name, standalone_mode=False)
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
    if isinstance(error, TyperException):
        where, colon, what = without_urls(error.format_message()).partition(": ")
        message = f"{where}{colon}{in_words(what)}"
        text, code = f"{message} (see {way_to_help(error)})" if message else "", error.exit_code
    elif isinstance(error, CommandError):
        text, code = str(error), error.exit_code
    elif isinstance(error, SentinelError):
        text, code = str(error), 1
    elif isinstance(error, ModuleNotFoundError) and error.name == "cython":  # compiled modules do without it
        text = "not compiled, and no cython to run without: `pip install cython`, or with a C compiler install again"
        code = 1
    elif isinstance(error, OSError) and error.errno in _NO_ROOM:
        text, code = (
            f"{error.filename or 'a file'}: no room to write it ({error.strerror}): free some, and try again",
            1,
        )
    elif isinstance(error, OSError) and error.filename and error.strerror:
        text, code = (
            f"{error.filename}: {error.strerror}: name another one (epc-sentinel --debug COMMAND shows where)",
            1,
        )
    else:
        why = without_urls(str(error))
        text, code = f"unexpected {type(error).__name__}: {why} (epc-sentinel --debug COMMAND shows where)", 1
    debug = "--debug" in sys.argv
    if _wants_json(sys.argv[1:]):
        _log_failure(text.splitlines(), error if debug else None)
        return code
    if debug:
        traceback.print_exception(error)
    for line in text.splitlines():
        shown = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in line)
        print(f"error: {shown}", file=sys.stderr)  # names of files and columns are others': none steers a terminal
    return code


def _wants_json(arguments: list[str]) -> bool:
    """Return whether a server was told to log JSON; its settings may be what is wrong, so they are not asked."""
    prefixes = {"serve": ENV_PREFIX, "web": WEB_PREFIX, "operate": OPERATE_PREFIX}
    command = next((one for one in arguments if one in prefixes), None)
    if command is None:
        return False
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--log-format", nargs="?", default=os.environ.get(f"{prefixes[command]}LOG_FORMAT"))
    return bool(parser.parse_known_args(arguments)[0].log_format == "json")


def _log_failure(lines: list[str], error: Exception | None) -> None:
    """Write each line as the gateway's log has them, for those who read it; with the traceback of ``error``."""
    from service.monitoring import logs  # noqa: PLC0415 - other commands have no use for it

    logs.configure("json", "error")
    log = structlog.get_logger("epc_sentinel.main")
    for line in lines:
        log.error("command failed", reason=line, exc_info=error)


if __name__ == "__main__":
    main()
