"""The catalogues say what the source says: each message, with its values."""

from __future__ import annotations

import gettext
import re
from io import BytesIO
from string import Formatter

import pytest

from service.explain.languages import LANGUAGES
from tests.service.explain.catalogues import compiled, messages, mo_path, po_path, read_po

TRANSLATED = LANGUAGES[1:]
_HEADER = ("",)
_HANGS_ON_A_SOUND = re.compile(r"\}(은|는|이|가|을|를|와|과|으로|로|이나|나)(?![가-힣])")


def _values(text: str) -> list[str]:
    return sorted(name for _, name, _, _ in Formatter().parse(text) if name is not None)


def test_the_source_has_messages() -> None:
    assert len(messages()) > 80
    assert ("{n} minute", "{n} minutes") in messages()


@pytest.mark.parametrize("language", TRANSLATED)
def test_each_message_is_translated_and_no_other(language: str) -> None:
    catalogue = read_po(po_path(language).read_text(encoding="utf-8"))
    assert set(catalogue) - {_HEADER} == messages()


@pytest.mark.parametrize("language", TRANSLATED)
def test_translations_have_the_values_of_their_messages(language: str) -> None:
    catalogue = read_po(po_path(language).read_text(encoding="utf-8"))
    for ids, texts in catalogue.items():
        if ids != _HEADER:
            assert all(texts), ids
            assert all(set(_values(text)) == set(_values(ids[0])) for text in (*ids, *texts)), ids


@pytest.mark.parametrize("language", TRANSLATED)
def test_the_compiled_catalogue_is_that_of_the_text(language: str) -> None:
    catalogue = read_po(po_path(language).read_text(encoding="utf-8"))
    assert mo_path(language).read_bytes() == compiled(catalogue), "run python -m tests.service.explain.catalogues"


@pytest.mark.parametrize("language", TRANSLATED)
def test_gettext_reads_the_compiled_catalogue(language: str) -> None:
    catalogue = read_po(po_path(language).read_text(encoding="utf-8"))
    found = gettext.GNUTranslations(BytesIO(mo_path(language).read_bytes()))
    for ids, texts in catalogue.items():
        if len(ids) == 1:
            assert found.gettext(*ids) == texts[0]
        else:
            assert [found.ngettext(*ids, n) for n in (1, 2)] == [texts[0], texts[-1]]


def test_no_korean_particle_hangs_on_the_sound_of_a_value() -> None:
    catalogue = read_po(po_path("ko").read_text(encoding="utf-8"))
    wrong = [text for texts in catalogue.values() for text in texts if _HANGS_ON_A_SOUND.search(text)]
    assert not wrong


def test_what_is_no_catalogue_is_refused() -> None:
    with pytest.raises(ValueError, match="line 1"):
        read_po("nonsense")
    with pytest.raises(ValueError, match="twice"):
        read_po('msgid "a"\nmsgstr "b"\n\nmsgid "a"\nmsgstr "c"\n')
