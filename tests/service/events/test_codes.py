"""EPC codes taken apart, against a plain parser."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from service.events import codes
from service.events.codes import without_dirt
from tests.support import reference_features
from tests.support.worlds import code

EPOCH = date(1970, 1, 1)

_ANY_VALID = st.from_regex(
    r"\A[0-9]{3}\.[0-9]{7}\.[0-9]{7}\.[0-9]{6}\.(19|20|00)[0-9]{2}[0-3][0-9][0-3][0-9]\.[0-9]{9}\Z"
)


@st.composite
def _damaged(draw: st.DrawFn) -> str:
    """Draw a code with one place replaced, dropped or doubled."""
    text = draw(_ANY_VALID)
    at = draw(st.integers(0, len(text) - 1))
    return text[:at] + draw(st.sampled_from(["", ".", "x", "/", ":", "0", "٣", "00", "\0"])) + text[at + 1 :]


def _parts(parsed: codes.Codes, at: int) -> tuple[int, ...]:
    columns = (parsed.header, parsed.company, parsed.product, parsed.lot, parsed.serial)
    return tuple(int(column[at]) for column in columns)


def _assert_parsed_as_the_plain_parser_does(texts: list[str]) -> None:
    parsed = codes.parse(texts)
    for at, text in enumerate(texts):
        plain = reference_features.parse(text)
        assert parsed.well_formed[at] == (plain is not None), text
        if plain is None:
            assert _parts(parsed, at) == (-1,) * 5
            assert not parsed.date_valid[at]
            continue
        assert _parts(parsed, at) == (plain.header, plain.company, plain.product, plain.lot, plain.serial)
        assert parsed.date_valid[at] == (plain.day is not None), text
        assert parsed.day[at] == ((plain.day - EPOCH).days if plain.day else 0), text


@settings(max_examples=300, deadline=None)
@given(texts=st.lists(st.one_of(_ANY_VALID, _damaged(), st.text(max_size=60)), max_size=8))
@example(texts=[])
@example(texts=["", "x" * 45, "." * 45, "0" * 45, "x" * 10_000])
@example(texts=[code(1), code(1) + " ", " " + code(1), code(1).replace("0", "०")])
def test_any_text_is_taken_apart_as_by_a_plain_parser(texts: list[str]) -> None:
    _assert_parsed_as_the_plain_parser_does(texts)


@pytest.mark.parametrize("year", ["0000", "0001", "1900", "1969", "1970", "2000", "2024", "2025", "2100", "9999"])
def test_every_month_and_day_is_a_date_or_not(year: str) -> None:
    dates = [f"{year}{month:02d}{day:02d}" for month in range(15) for day in range(34)]
    _assert_parsed_as_the_plain_parser_does([code(1, date=text) for text in dates])


def test_the_parts_are_where_the_contract_has_them() -> None:
    parsed = codes.parse(["001.8804823.1293291.010004.20250701.000004002"])
    assert _parts(parsed, 0) == (1, 8_804_823, 1_293_291, 10_004, 4_002)
    assert parsed.day[0] == (date(2025, 7, 1) - EPOCH).days


GOOD = "001.8804823.1293291.010004.20250701.000004001"


@pytest.mark.parametrize(("before", "behind"), [
    (" ", ""), ("", "\t"), ("", "\r"), ("", "\0"), ("\x1d", "\x1d"), ("\xa0", "\u3000"), ("]C1", ""), (" ]d2", ""),
    ("'", ""),    ("\ufeff", "\u200b"), ("]Q3'", " \r\n"),
])  # fmt: skip
def test_dirt_of_transport_is_left_out(before: str, behind: str) -> None:
    assert without_dirt([GOOD, before + GOOD + behind]) == [GOOD, GOOD]


@pytest.mark.parametrize(
    "code",
    [GOOD, "", "forged", " forged", "x" + GOOD, GOOD + "'", "]C1" + GOOD[:-1], GOOD.replace(".", " .", 1), f'"{GOOD}"',
     " " * 65 + GOOD, " " * 9_000_000, "]C1" * 3_000_000,
     GOOD.replace("8", "\u0668")],
)  # fmt: skip
def test_content_is_left_as_it_is(code: str) -> None:
    assert without_dirt([code]) is None
