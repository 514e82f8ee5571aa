"""The built script and style: small, of the sources that stand beside them, and asking nobody else for anything."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from pathlib import Path

from service.web.pages.templating import STATIC
from tests.support.gateway import ROOT

SOURCES = ROOT / "web"
HARMLESS = {"http://www.w3.org/2000/svg", "https://leafletjs.com"}  # a namespace; a link in an attribution that is off


def test_script_and_style_are_small() -> None:
    size = sum(len(gzip.compress((STATIC / name).read_bytes(), 9)) for name in ("pages.js", "pages.css"))
    assert size <= 150_000, f"{size} bytes, compressed"


def test_what_is_built_is_of_these_sources() -> None:
    seal = json.loads((STATIC / "seal.json").read_text())
    sources = {name: _digest(SOURCES / name) for name in seal["sources"]}
    assert sources == seal["sources"], "npm run build in web/ makes pages.js and pages.css anew"
    assert {f"src/{path.name}" for path in (SOURCES / "src").iterdir()} <= set(sources)
    assert {name: _digest(STATIC / name) for name in seal["built"]} == seal["built"]


def test_they_name_no_other_host_and_end_no_element() -> None:
    for name in ("pages.js", "pages.css"):
        text = (STATIC / name).read_text()
        assert set(re.findall(r"https?://[\w./]+", text)) <= HARMLESS
        assert "</script" not in text.lower()
        assert "</style" not in text.lower()
        assert "<!--" not in text
        assert "eval(" not in text
        assert "new Function" not in text
    assert "url(" not in (STATIC / "pages.css").read_text()


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
