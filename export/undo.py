"""A change of a model repository that fails is undone: the repository is as it was, whatever failed where."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

Files = dict[Path, bytes]
"""What a version and the configs of its model consist of: a few megabytes."""


@contextmanager
def all_or_nothing(repository: Path, models: Sequence[str], version: int) -> Iterator[None]:
    """Within it a version of the models may be written; if that fails, all of them are as they were before."""
    folders = [repository, *(repository / model for model in models)]
    absent = [folder for folder in folders if not folder.exists()]
    before = {model: _files(repository / model, version) for model in models}
    try:
        yield
    except BaseException:
        for model, files in before.items():
            _restore(repository / model, version, files)
        for folder in reversed(absent):
            with suppress(OSError):  # somebody else's files are in it
                folder.rmdir()
        raise


def _files(folder: Path, version: int) -> Files:
    paths = [folder / "config.pbtxt", *(folder / "configs").glob("*"), *(folder / str(version)).rglob("*")]
    return {path: path.read_bytes() for path in paths if path.is_file()}


def _restore(folder: Path, version: int, before: Files) -> None:
    for path in _files(folder, version).keys() - before.keys():  # first of all: that makes room
        path.unlink()
    for path, content in before.items():
        if not path.is_file() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    for part in (folder / str(version), folder / "configs"):
        if part.is_dir() and not any(part.iterdir()):
            shutil.rmtree(part)
