"""The page of the data-quality report: whole, safe, and with plots of what was counted."""

from __future__ import annotations

import base64
from pathlib import Path
from xml.etree import ElementTree

from tests.support.folders.flawed import EVIL, NOW, Page, flawed
from training.datasets.dataset import QUARANTINE
from training.inspection.report import Inspection, inspect_folder


def test_the_page_is_self_contained_and_escaped(tmp_path: Path) -> None:
    found = inspect_folder(flawed(tmp_path), tmp_path / "report.html", NOW)
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "script" not in page.tags
    assert EVIL.replace("\x1b", r"\x1b") in page.texts
    assert page.tags.count("h2") == len(found.sections) == 9
    assert page.tags.count("img") == len(found.plots) == 6
    for link in page.links:
        kind, _, data = link.partition(",")
        assert kind == "data:image/svg+xml;base64"
        assert ElementTree.fromstring(base64.b64decode(data)).tag == "{http://www.w3.org/2000/svg}svg"
    text = (tmp_path / QUARANTINE).read_text(encoding="utf-8")
    assert text.splitlines()[0] == "file,line,problem,text"
    # The page and the quarantine file lie among the data now, and are none.
    assert inspect_folder(tmp_path, None, NOW).sections[0] == found.sections[0]


def test_the_plots_show_what_was_counted(found: Inspection) -> None:
    assert b"a.csv" in found.plots["Events per day and file"]
    assert b">now<" in found.plots["Events per day and file"]
    assert b"km from previous" in found.plots["Rank correlations"]
