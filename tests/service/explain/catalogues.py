"""The catalogues of sentences: what the source says, what a .po file says of it, and the .mo file that gettext reads.

    python -m tests.service.explain.catalogues     # after an edit of a .po file: writes the .mo beside it

The .mo files are in the repository, so that a gateway is built without tools; a test compares them with the .po files.
"""

from __future__ import annotations

import ast
import struct
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from service.explain.languages import DOMAIN, LANGUAGES, LOCALE

Catalogue = dict[tuple[str, ...], tuple[str, ...]]
"""(message,) or (message, its plural) with the translations of each."""

SOURCE = LOCALE.parent
SCHEMES = LOCALE.parent.parent / "dialect"


def messages() -> set[tuple[str, ...]]:
    """Return what the source says: the texts given to `Words.say` and `Words.count`, at once or as message and many.

    And why codes are none of the network's scheme, which is said as part of a sentence.
    """
    found = {text for path in SCHEMES.glob("*.py") for text in _malformed(ast.parse(path.read_text(encoding="utf-8")))}
    for path in sorted(SOURCE.rglob("*.py")):
        found |= set(_messages_of(ast.parse(path.read_text(encoding="utf-8"))))
    return found


def _messages_of(tree: ast.Module) -> Iterator[tuple[str, ...]]:
    named = [(node.targets[0].id, _text(node.value)) for node in _in_order(tree) if _is_named(node)]
    for (name, text), (next_name, next_text) in pairwise([*named, ("", "")]):
        if name == "message":
            yield (text, next_text) if next_name == "many" else (text,)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("say", "count"):
            texts = tuple(_text(arg) for arg in node.args[: 1 if node.func.attr == "say" else 2])
            if all(texts):
                yield texts


def _malformed(tree: ast.Module) -> Iterator[tuple[str, ...]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Malformed":
            yield (_text(node.args[0]),)


def _in_order(tree: ast.Module) -> list[ast.Assign]:
    return sorted((n for n in ast.walk(tree) if isinstance(n, ast.Assign)), key=lambda node: node.lineno)


def _is_named(node: ast.Assign) -> bool:
    target = node.targets[0]
    return isinstance(target, ast.Name) and target.id in ("message", "many") and bool(_text(node.value))


def _text(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def po_path(language: str) -> Path:
    return LOCALE / language / "LC_MESSAGES" / f"{DOMAIN}.po"


def mo_path(language: str) -> Path:
    return po_path(language).with_suffix(".mo")


def read_po(text: str) -> Catalogue:
    """Return a catalogue, its header under ("",); comments are left out, what is no .po line is an error."""
    catalogue: Catalogue = {}
    ids: list[str] = []
    texts: list[str] = []
    for number, line in enumerate([*text.splitlines(), 'msgid ""'], 1):
        keyword, _, quoted = line.strip().partition(" ")
        if not line.strip() or line.startswith("#"):
            continue
        if keyword == "msgid" and ids:
            if tuple(ids) in catalogue:
                raise ValueError(f"twice in the catalogue: {ids[0]!r}")
            catalogue[tuple(ids)] = tuple(texts)
            ids, texts = [], []
        if keyword in ("msgid", "msgid_plural"):
            ids.append(ast.literal_eval(quoted))
        elif keyword == "msgstr" or keyword.startswith("msgstr["):
            texts.append(ast.literal_eval(quoted))
        elif keyword.startswith('"'):
            (texts or ids)[-1] += ast.literal_eval(line.strip())
        else:
            raise ValueError(f"line {number} is no line of a catalogue: {line!r}")
    return catalogue


def compiled(catalogue: Catalogue) -> bytes:
    """Return the .mo file: a header, two tables of (length, offset), texts in the order of their bytes."""
    pairs = sorted(("\0".join(ids).encode(), "\0".join(texts).encode()) for ids, texts in catalogue.items())
    tables, data = [], b""
    begin = 28 + 16 * len(pairs)
    for column in zip(*pairs, strict=True):
        for text in column:
            tables.append(struct.pack("<II", len(text), begin + len(data)))
            data += text + b"\0"
    header = struct.pack("<7I", 0x950412DE, 0, len(pairs), 28, 28 + 8 * len(pairs), 0, begin)
    return header + b"".join(tables) + data


if __name__ == "__main__":
    for code in LANGUAGES[1:]:
        mo_path(code).write_bytes(compiled(read_po(po_path(code).read_text(encoding="utf-8"))))
