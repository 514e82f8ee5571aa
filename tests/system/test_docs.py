"""What the pages name exists: links and their headings, paths of the repository, modules to run, targets of make."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.gateway import ROOT

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
FOLDERS = (
    "service", "training", "export", "tests", "k8s", "docs", "examples", "clients", "protos", "model_repository",
    "requirements", ".ci",
)  # fmt: skip

LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
PATH = re.compile(rf"(?<![\w/.<-])(?:{'|'.join(map(re.escape, FOLDERS))})/[\w./-]*[\w/]")
MODULE = re.compile(r"-m ((?:service|training|export|tests)[\w.]*)")
DOTTED = re.compile(r"`((?:service|training|export|tests)(?:\.[a-z_0-9]+)+)`")


def broken_links(page: Path, text: str) -> list[str]:
    """Return the links of a page that lead nowhere."""
    broken = []
    for link, heading in LINK.findall(text):
        target = page.parent / link if link else page
        if not target.exists() or (heading and heading not in headings(target)):
            broken.append(f"{link}#{heading}" if heading else link)
    return broken


def headings(page: Path) -> set[str]:
    """Return the names of a page's headings in links."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def missing_paths(text: str) -> list[str]:
    """Return the paths that a text names and the repository does not have."""
    return [path for path in PATH.findall(text) if not (ROOT / path).exists()]


def missing_modules(text: str) -> list[str]:
    """Return the modules that a text runs or names and that do not exist; those it runs need a `main`."""
    missing = [name for name in DOTTED.findall(text) if not (_file_of(name).is_file() or _file_of(name, "").is_dir())]
    for name in MODULE.findall(text):
        file = _file_of(name) if _file_of(name).is_file() else _file_of(f"{name}.__main__")
        if not file.is_file() or '__name__ == "__main__"' not in file.read_text():
            missing.append(name)
    return missing


def _file_of(module: str, suffix: str = ".py") -> Path:
    return ROOT / f"{module.replace('.', '/')}{suffix}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_names_exists(page: Path) -> None:
    text = page.read_text()
    assert broken_links(page, text) == []
    assert missing_paths(text) == []
    assert missing_modules(text) == []


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        named = set(re.findall(r"(?:`|^)make ([a-z0-9-]+)", page.read_text(), re.MULTILINE))
        assert named <= targets, page


def test_the_architecture_names_every_wing() -> None:
    rules = (ROOT / "docs" / "architecture.md").read_text().partition("## Who may import whom")[2].split("```")[1]
    wings = {path.parent.name for top in ("service", "training") for path in (ROOT / top).glob("*/__init__.py")} - {
        "pb"
    }
    assert wings <= set(rules.split())


def test_what_is_missing_is_seen() -> None:
    text = "[a](docs/model.md) [b](docs/none.md) [c](docs/performance.md#several-workers) [d](docs/model.md#none)"
    assert broken_links(ROOT / "README.md", text) == ["docs/none.md", "docs/model.md#none"]
    text = "see `service/pipeline.py`, service/detect/analyzer.py. Or k8s/base/, and https://example.com/docs/other"
    assert missing_paths(text) == ["service/pipeline.py"]
    text = "`python -m tests.overload`, `python -m service serve`, python -m tests.support.gateway, `service.rpc`"
    assert missing_modules(text) == ["service.rpc", "tests.overload", "tests.support.gateway"]
