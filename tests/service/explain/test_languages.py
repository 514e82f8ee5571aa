from __future__ import annotations

import pytest

from service.explain.languages import LANGUAGES, catalogue, language_of


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("ko", "ko"),
        ("KO-kr", "ko"),
        ("ko-KR,ko;q=0.9,en-US;q=0.8,en;q=0.7", "ko"),
        ("en-US,en;q=0.9,ko;q=0.8", "en"),
        ("en;q=0.5, ko;q=0.501", "ko"),
        ("fr, ko;q=0.1", "ko"),
        ("fr, de;q=0.5", "en"),
        ("*", "en"),
        ("en;q=0, *", "ko"),
        ("*;q=0.5, ko;q=0.4", "en"),
        ("ko;q=0", "en"),
        ("ko;q=0, en;q=0", "en"),
        ("ko ; Q = 1", "ko"),
        ("ko,en", "ko"),
    ],
)
def test_the_highest_weight_wins(header: str | None, language: str) -> None:
    assert language_of(header) == language


@pytest.mark.parametrize(
    "header",
    [
        "ko;q=2",
        "ko;q=-1",
        "ko;q=nan",
        "ko;q=1e9",
        "ko;q",
        "korean",
        "k o",
        "../../ko",
        "ko\0",
        ";;;,,,=",
        "한국어",
        "q=1",
        "-ko",
    ],
)
def test_garbage_is_as_if_it_were_not_there(header: str) -> None:
    assert language_of(header) == "en"
    assert language_of(f"{header},ko;q=0.3") == "ko"


def test_a_long_header_costs_nothing() -> None:
    assert language_of("ko-" * 1_000_000) == "en"
    assert language_of("fr," * 1_000_000) == "en"
    assert language_of("ko," + "x" * 1_000_000) == "ko"


def test_every_language_has_a_catalogue() -> None:
    said = {catalogue(language).ngettext("{n} minute", "{n} minutes", 2) for language in LANGUAGES}
    assert said == {"{n} minutes", "{n}분"}
