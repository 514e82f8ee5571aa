from __future__ import annotations

import pytest

from service.explain.words import Words, shown

ENGLISH, KOREAN = Words("en"), Words("ko")


@pytest.mark.parametrize(
    ("minutes", "english", "korean"),
    [
        (0, "0 seconds", "0초"),
        (1 / 60, "1 second", "1초"),
        (0.5, "30 seconds", "30초"),
        (0.999, "1 minute", "1분"),
        (2, "2 minutes", "2분"),
        (2.55, "2.5 minutes", "2.5분"),
        (14.6, "15 minutes", "15분"),
        (59.6, "1 hour", "1시간"),
        (90, "1.5 hours", "1.5시간"),
        (47 * 60, "47 hours", "47시간"),
        (48 * 60, "2 days", "2일"),
        (12.3 * 1440, "12.3 days", "12.3일"),
        (1_234_567 * 1440, "1,234,567 days", "1,234,567일"),
    ],
)
def test_a_duration_is_said_in_the_unit_that_people_use(minutes: float, english: str, korean: str) -> None:
    assert ENGLISH.duration(minutes) == english
    assert KOREAN.duration(minutes) == korean


@pytest.mark.parametrize(
    ("low", "high", "english", "korean"),
    [
        (180, 540, "3 to 9 hours", "3~9시간"),
        (30, 540, "30 minutes to 9 hours", "30분~9시간"),
        (600, 601, "about 10 hours", "약 10시간"),
        (0, 0, "about 0 seconds", "약 0초"),
    ],
)
def test_a_span_has_two_ends_unless_they_are_one(low: float, high: float, english: str, korean: str) -> None:
    assert ENGLISH.span(low, high) == english
    assert KOREAN.span(low, high) == korean


def test_numbers_have_one_decimal_at_most() -> None:
    assert [ENGLISH.number(n) for n in (0, 0.04, 0.5, 12.34, 99.97, 1224, 123_456.7)] == [
        *("0", "0", "0.5", "12.3", "100", "1,224", "123,457"),
    ]


def test_times_that_no_calendar_names_are_said_too() -> None:
    assert ENGLISH.time(1_751_360_400_000_000) == "2025-07-01 09:00"
    assert ENGLISH.time(2**62) == f"{2**62} us"


def test_unknown_types_and_levels_have_a_name() -> None:
    assert ENGLISH.scan(10, 17) == "an unknown type at place 17"
    assert KOREAN.scan(0, 17) == "장소 17의 Aggregation"
    assert (ENGLISH.level(-1), ENGLISH.level(0)) == ("an unknown level", "Factory")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", '""'),
        ("001.8", '"001.8"'),
        ("한글", '"한글"'),
        ("a\x1b[31mb\r\n", '"a\\u001b[31mb\\u000d\\u000a"'),
        ("\u202e\u2066\u200b\ufeff", '"\\u202e\\u2066\\u200b\\ufeff"'),
        ("\u2028\ud800", '"\\u2028\\ud800"'),
        ("\U000e0001", '"\\U000e0001"'),
        ('"; DROP', '"\\"; DROP"'),
        ("\\u202e", '"\\\\u202e"'),
        ("{n}%s{0.__class__}", '"{n}%s{0.__class__}"'),
        ("x" * 64, f'"{"x" * 64}"'),
        ("x" * 65, f'"{"x" * 64}…"'),
        ("\0" * 100, f'"{chr(92)}u0000' + f"{chr(92)}u0000" * 9 + '…"'),
    ],
)
def test_foreign_text_is_shown_not_obeyed(text: str, said: str) -> None:
    assert shown(text) == said
