"""Which letters and line ends the bytes of a raw file are: whatever it is, it is read on as UTF-8, line by line."""

from __future__ import annotations

import codecs
import gzip
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from service.rawfiles.refused import FileFault, UnusableFile

READ_ERRORS = (OSError, EOFError, zlib.error)
"""What reading a raw file may raise; the latter two if a .gz is damaged."""

_NO_TEXT = {
    b"PK\x03\x04": FileFault.WORKBOOK,
    b"\xd0\xcf\x11\xe0": FileFault.OLD_WORKBOOK,
    b"PAR1": FileFault.PARQUET,
    b"\x1f\x8b": FileFault.PACKED,
}
"""How files begin that people take for tables of text, what they are, and what to do."""

UTF_8, UTF_16, CP949 = "UTF-8", "UTF-16", "cp949"

_HEAD = 1 << 16  # bytes in which a first line ends
_CODECS = {UTF_16: "utf-16", "UTF-16-LE": "utf-16-le", "UTF-16-BE": "utf-16-be", CP949: "cp949"}
_HANGUL = re.compile(rb"[\xb0-\xc8][\xa1-\xfe]")  # a syllable of everyday Korean; é or ö has no second such byte


@dataclass(frozen=True, slots=True, eq=False)
class RawBytes:
    """A raw file."""

    data: bytes  # UTF-8 with or without BOM; lines end in LF or CR LF. What is neither this nor known stays as it is
    encoding: str  # of the file: UTF-8, UTF-16 (-LE, -BE without BOM) or cp949
    is_utf_8: bool = True  # whether all of ``data`` is

    @property
    def warning(self) -> str:
        """Return what is to be said of the encoding, "" of UTF-8."""
        return "" if self.encoding == UTF_8 else f"is not UTF-8: it is read as {self.encoding}"


def unreadable(file: Path | str, error: BaseException) -> UnusableFile:
    """Return what is to be said of a file that raised one of READ_ERRORS."""
    if isinstance(error, IsADirectoryError):
        return UnusableFile(file, FileFault.FOLDER)
    if isinstance(error, OSError) and error.strerror:
        return UnusableFile(file, FileFault.UNREADABLE, reason=error.strerror)
    return UnusableFile(file, FileFault.HALF_PACKED)


def why_no_text(data: bytes) -> FileFault | None:
    """Return what a file is that is no text, and what to do, by its first bytes; None of any other."""
    return next((what for begin, what in _NO_TEXT.items() if data.startswith(begin)), None)


def read_raw(path: Path) -> RawBytes:
    """Return a file; one that ends in .gz is unpacked. Raises READ_ERRORS."""
    with _open(path) as stream:
        return decoded(stream.read())


def first_line(path: Path) -> bytes:
    """Return the first line of a file as `read_raw` would give it. Raises READ_ERRORS."""
    with _open(path) as stream:
        head = stream.read(_HEAD)
    if len(head) == _HEAD:  # may end within a letter
        head = head[: max(head.rfind(b"\n"), head.rfind(b"\r")) + 1] or head
    return decoded(head).data.partition(b"\n")[0]


def open_raw(path: Path, name: str) -> IO[bytes]:
    """Open a file whose ``name`` says whether it is to be unpacked, .gz, wherever it lies. Raises READ_ERRORS."""
    return cast("IO[bytes]", gzip.open(path)) if name.lower().endswith(".gz") else path.open("rb")


def wide_encoding(head: bytes) -> str:
    """Return the codec of a file in UTF-16, by how it begins, "" of any other: its line ends are no single bytes."""
    encoding, _ = (UTF_8, True) if why_no_text(head) else _encoding_of(head[:200])
    return _CODECS[encoding] if encoding.startswith("UTF-16") else ""


def _open(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path)) if path.suffix.lower() == ".gz" else path.open("rb")


def decoded(data: bytes) -> RawBytes:
    """Return what bytes of a file, unpacked, are; what is no text stays as it is."""
    if why_no_text(data):
        return RawBytes(data, UTF_8, is_utf_8=False)
    encoding, is_utf_8 = _encoding_of(data)
    if encoding != UTF_8:
        decoder = codecs.getincrementaldecoder(_CODECS[encoding])("replace")
        data = decoder.decode(data).encode("utf-8", "replace")
    head, _, _ = data.partition(b"\n")
    if b"\r" in head.rstrip(b"\r"):  # no column name has a CR in it, so the first line ends there, and so do others
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return RawBytes(data, encoding, is_utf_8)


def _encoding_of(data: bytes) -> tuple[str, bool]:
    """Return what the bytes are, and whether all are, once decoded.

    UTF-8 where nothing else fits: its reader names the lines that are not.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return UTF_16, True
    begin = data[:200]
    for encoding, zeros in (("UTF-16-LE", begin[1::2]), ("UTF-16-BE", begin[::2])):
        if zeros.count(0) > len(begin) // 3:
            return encoding, True
    if _is("utf-8", data):
        return UTF_8, True
    return (CP949, True) if _is_korean(data) else (UTF_8, False)


def _is_korean(data: bytes) -> bool:
    """Return whether bytes that are not UTF-8 are cp949, rather than UTF-8 with damaged lines or another encoding."""
    lines = [line for line in data.splitlines() if not line.isascii()]
    damaged = sum(not _is("utf-8", line) for line in lines)
    high = sum(1 for letter in b"".join(lines) if letter >= 0x80)
    syllables = sum(len(_HANGUL.findall(line)) for line in lines)
    return 2 * damaged > len(lines) and 4 * syllables >= high and _is("cp949", data)


def _is(codec: str, data: bytes) -> bool:
    try:
        data.decode(codec)
    except UnicodeDecodeError:
        return False
    return True
