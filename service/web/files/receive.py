"""The body of an upload to a file on disk, as it comes: the whole body, or the file of a form."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from fastapi import Request
from python_multipart.multipart import MultipartParser, parse_options_header

from service.web.files.refused import Refused
from service.web.problems import Problem

_MOST_NAME = 200
_FIELD_BYTES = 1_000  # of any other field of the form
_FORM_BYTES = 100_000  # of all that is not the file
_BLOCK_BYTES = 2**20  # of a file, written at once

_THREADS = ThreadPoolExecutor(2, thread_name_prefix="receive")
"""Of their own: pages, whose queries run in the threads of asyncio, do not wait for the disk."""


@dataclass
class Received:
    """What was received."""

    name: str = ""
    size: int = 0
    sha256: str = ""


class _Sink:
    """Counts bytes, and in a thread, a block at a time, digests them and writes them to a file."""

    def __init__(self, file: BinaryIO, most_bytes: int, say: Callable[..., str]) -> None:
        self._say = say
        self._file, self._most, self._digest, self.size = file, most_bytes, hashlib.sha256(), 0
        self._waiting = bytearray()

    def write(self, data: bytes) -> None:
        self.size += len(data)
        if self.size > self._most:
            why = self._say(Refused.TOO_LARGE, bytes=self._most)
            raise Problem(413, why, [("file", "is too large")])
        self._waiting += data

    async def flush(self, at_least: int = 0) -> None:
        """Write what waits, if it has so many bytes; raises OSError."""
        if len(self._waiting) >= at_least:
            block, self._waiting = self._waiting, bytearray()
            await _in_thread(lambda: self._put(block))

    def _put(self, block: bytearray) -> None:
        self._digest.update(block)
        self._file.write(block)

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


async def receive(
    request: Request, path: Path, most_bytes: int, say: Callable[..., str]
) -> tuple[Received, dict[str, str]]:
    """Write the file of a request to ``path``, to the disk itself; return what it is, and the other fields of the form.

    Args: ``say`` has the language of who is told what is wrong.

    Raises:
        Problem: 413, it is too large; 415, the body is packed; 400, there is no file, or the form is damaged or cut.
        OSError: no room on the disk.
    """
    if request.headers.get("content-encoding", "identity") != "identity":
        why = "is not understood: send a .gz as it is, under its name"
        raise Problem(415, "the body is packed for its way", [("Content-Encoding", why)])
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdecimal() and int(length[:20]) > most_bytes + _FORM_BYTES:
        raise Problem(413, say(Refused.TOO_LARGE, bytes=most_bytes), [("file", "is too large")])
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    with path.open("wb") as file:
        sink = _Sink(file, most_bytes, say)
        if kind == b"multipart/form-data":
            name, fields = await _receive_form(request, options, sink)
        else:
            async for data in request.stream():
                sink.write(data)
                await sink.flush(_BLOCK_BYTES)
            name, fields = "", {}
        await sink.flush()
    if not sink.size:
        raise Problem(400, say(Refused.EMPTY), [("file", "is empty")])
    await _in_thread(lambda: _to_disk(path))
    return Received(safe_name(name), sink.size, sink.hexdigest()), fields


async def _in_thread(work: Callable[[], None]) -> None:
    await asyncio.get_running_loop().run_in_executor(_THREADS, work)


def _to_disk(path: Path) -> None:
    """Have the disk keep what was written: who sent it is told that it is here, and throws his own away, perhaps."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


async def _receive_form(request: Request, options: dict[bytes, bytes], sink: _Sink) -> tuple[str, dict[str, str]]:
    form = _Form(sink)
    parser, received = _parser(options, form), 0
    async for data in request.stream():
        received += len(data)
        parser.write(data)
        await sink.flush(_BLOCK_BYTES)
        if received - sink.size > _FORM_BYTES:
            why = f"the form has more than {_FORM_BYTES} bytes beside its file"
            raise Problem(413, why, [("body", "is too large")])
    if not form.has_file:
        raise Problem(400, "the form has no file", [("file", "is missing")])
    if not form.is_whole:
        raise Problem(400, "the form is cut off: send it again", [("body", "ends before the form does")])
    return form.file_name, form.fields


def safe_name(name: str) -> str:
    """Return the last part of a path, in one line of readable letters."""
    last = PurePosixPath(name.replace("\\", "/")).name
    return "".join(letter if letter.isprintable() else "?" for letter in last)[-_MOST_NAME:]


class _Form:
    """Gets the parts of a form as the parser finds them."""

    def __init__(self, sink: _Sink) -> None:
        self._sink = sink
        self._header, self._value, self._disposition = b"", b"", b""
        self._field: str | None = None
        self._in_file = False
        self.has_file, self.file_name, self.is_whole = False, "", False
        self.fields: dict[str, str] = {}

    def on_part_begin(self) -> None:
        self._disposition, self._in_file, self._field = b"", False, None

    def on_header_begin(self) -> None:
        self._header, self._value = b"", b""

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value

    def on_headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"filename" in options and self.has_file:
            raise Problem(400, "the form has several files: send each by itself", [("file", "is there twice")])
        if b"filename" in options:
            self.has_file = self._in_file = True
            self.file_name = options[b"filename"].decode("utf-8", "replace")
        elif b"name" in options:
            self._field = options[b"name"].decode("utf-8", "replace")
            self.fields[self._field] = ""

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self._sink.write(data[start:end])
        elif self._field is not None and len(self.fields[self._field]) < _FIELD_BYTES:
            self.fields[self._field] += data[start:end].decode("utf-8", "replace")

    def on_end(self) -> None:
        self.is_whole = True


def _parser(options: dict[bytes, bytes], form: _Form) -> MultipartParser:
    boundary = options.get(b"boundary")
    if not boundary:
        raise Problem(400, "the form has no boundary", [("Content-Type", "has no boundary")])
    names = [name for name in dir(form) if name.startswith("on_")]
    return MultipartParser(boundary, {name: getattr(form, name) for name in names})  # type: ignore[arg-type]
