"""A large raw file part by part: whole lines, each part below the file's first line, so that memory stays bounded."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from service.rawfiles.encoding import READ_ERRORS, decoded, open_raw, unreadable, wide_encoding
from service.rawfiles.refused import FileFault, UnusableFile
from service.rawfiles.table import FileRows, table_of

PART_BYTES = 8 * 2**20
"""Of a part, unpacked: 40,000 rows of the widest tables, which take ten times as much memory while they are read."""

_MOST_LINE = 16 * 2**20  # bytes in which a line ends, or the file is none of ours


def read_parts(
    path: Path, name: str, most_bytes: int, on_bytes: Callable[[int], None] = lambda _: None
) -> Iterator[FileRows]:
    """Yield the rows of a file, part by part; together they are those of `read_table` with number 1 and first id 1.

    Args:
        path: where the file lies.
        name: how its owner calls it, for messages; one that ends in .gz is unpacked.
        most_bytes: of the file, unpacked.
        on_bytes: called with the bytes, unpacked, that were read so far.

    Raises:
        UnusableFile: the first thing that cannot be used, with name, line, column and how to fix it.
    """
    called, rows, lines, read = Path(name), 0, 0, 0
    try:
        with open_raw(path, name) as stream:
            parts = _lines(stream, name)
            first = next(parts, b"")
            end = first.find(b"\n") + 1 or len(first)
            head, rest = first[:end], first[end:]
            while True:
                read += len(rest)
                if read > most_bytes:
                    raise UnusableFile(name, FileFault.TOO_LARGE, bytes=most_bytes)
                part = table_of(decoded(head + rest), called, 1, rows + 1, lines)
                on_bytes(read)
                yield part
                rows, lines = rows + len(part), lines + rest.count(b"\n")
                if not (rest := next(parts, b"")):
                    return
    except READ_ERRORS as error:
        raise unreadable(name, error) from None


def _lines(stream: IO[bytes], name: str) -> Iterator[bytes]:
    """Yield the bytes of a stream in parts that end with a line, in UTF-8 if they were UTF-16; lines end in LF."""
    kept, old_mac = b"", False
    decoder: codecs.IncrementalDecoder | None = None
    first = True
    while data := stream.read(PART_BYTES):
        if first and (codec := wide_encoding(data)):
            decoder = codecs.getincrementaldecoder(codec)("replace")
        if decoder is not None:
            data = decoder.decode(data).encode("utf-8", "replace")
        if first:
            first, old_mac = False, b"\n" not in data and b"\r" in data
        kept += data.replace(b"\r", b"\n") if old_mac else data
        if end := kept.rfind(b"\n") + 1:
            yield kept[:end]
            kept = kept[end:]
        elif len(kept) > _MOST_LINE:
            raise UnusableFile(name, FileFault.LONG_LINE, bytes=_MOST_LINE)
    if decoder is not None:
        kept += decoder.decode(b"", final=True).encode("utf-8", "replace")
    if kept:
        yield kept
