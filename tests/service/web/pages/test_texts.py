"""The words of the pages: each has its translation, with the same names in it."""

from __future__ import annotations

import re

import pytest

from service.explain.languages import LANGUAGES
from service.web.pages.texts import texts
from tests.service.explain.catalogues import compiled, read_po
from tests.support.web.words import messages, po_path

_VALUE = re.compile(r"%\(\w+\)s|%%|\{\w+\}")


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_the_catalogue_is_whole(language: str) -> None:
    path = po_path(language)
    catalogue = read_po(path.read_text(encoding="utf-8"))
    assert path.with_suffix(".mo").read_bytes() == compiled(catalogue), "python -m tests.support.web.words"
    assert set(catalogue) - {("",)} == messages()
    for ids, translated in catalogue.items():
        if ids != ("",):
            assert all(translated), ids
            assert {*_VALUE.findall(ids[0])} == {*_VALUE.findall(translated[0])}
            assert {*re.findall(r"<\w+>", ids[0])} == {*re.findall(r"<\w+>", translated[0])}


def test_english_is_its_own_translation() -> None:
    assert texts("en").gettext("Findings") == "Findings"
    assert texts("ko").gettext("Findings") == "이상"
