"""The body of a request: no larger than allowed, text of a known encoding, JSON."""

from __future__ import annotations

import json
from email.message import Message
from typing import Any, NoReturn

from fastapi import Request

from service.web.problems import Problem

_KOREAN = {"cp949", "ms949", "euc-kr", "euc_kr", "uhc", "ks_c_5601-1987", "windows-949"}


async def read_body(request: Request, most_bytes: int) -> bytes:
    """Return the bytes of the body.

    Raises:
        Problem: 413, it is larger than allowed; 415, it is compressed.
    """
    if request.headers.get("content-encoding", "identity") != "identity":
        raise Problem(415, "the body is compressed: send it as it is", [("Content-Encoding", "is not understood")])
    if int(_digits(request.headers.get("content-length"))) > most_bytes:
        raise _too_large(most_bytes)
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most_bytes:
            raise _too_large(most_bytes)
        parts.append(part)
    return b"".join(parts)


def parse_json(data: bytes, content_type: str) -> Any:  # noqa: ANN401 - any JSON
    """Return the JSON value of a body.

    It is UTF-8, unless its Content-Type names a Korean charset: ``application/json; charset=cp949``.

    Raises:
        Problem: 400, it is not.
    """
    charset = _charset(content_type)
    korean = charset in _KOREAN
    if charset and not korean and charset not in {"utf-8", "utf8", "us-ascii"}:
        raise Problem(415, f"charset {charset[:40]!a} is not understood: send UTF-8", [("Content-Type", "send UTF-8")])
    try:
        text = data.decode("cp949" if korean else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise _no_text(data, error.start, korean=korean) from None
    try:
        return json.loads(text, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise Problem(
            400, f"the body is no JSON: {error.msg} at {where}", [("body", f"{error.msg} at {where}")]
        ) from None
    except RecursionError:
        raise Problem(400, "the body is no JSON that can be read", [("body", "is nested too deeply")]) from None
    except ValueError as error:  # a number of thousands of digits, NaN
        raise Problem(400, "the body is no JSON that can be read", [("body", str(error).partition(":")[0])]) from None


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _no_text(data: bytes, at: int, *, korean: bool) -> Problem:
    if korean:
        return Problem(400, f"the body is not cp949, at byte {at}", [("body", "is not in the charset that it names")])
    try:
        data.decode("cp949")
        hint = "it looks like cp949: send UTF-8, or Content-Type: application/json; charset=cp949"
    except UnicodeDecodeError:
        hint = "send UTF-8"
    return Problem(400, f"the body is not UTF-8, at byte {at}: {hint}", [("body", f"is not UTF-8: {hint}")])


def _charset(content_type: str) -> str:
    message = Message()
    message["Content-Type"] = content_type
    return str(message.get_content_charset() or "")


def _digits(text: str | None) -> str:
    return text if text and text.isdecimal() and text.isascii() and len(text) < 20 else "0"


def _too_large(most_bytes: int) -> Problem:
    return Problem(
        413, f"the body is larger than {most_bytes} bytes: send several requests", [("body", "is too large")]
    )
