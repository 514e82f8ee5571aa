"""GS1 codes: URNs, web addresses and element strings say the same, and what contradicts itself is malformed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.dialect import gs1
from service.dialect.malformed import Malformed
from service.events import codes
from service.events.foreign import NO_DATE, NO_DAY, ForeignParts, read_foreign
from tests.support.folders.rewritten import check_digit
from tests.support.processes import spends_less

PREFIXES = ["0614141", "061414"]

URN = "urn:epc:id:sgtin:0614141.812345.6789"  # the example of the EPC tag data standard

GTIN = "80614141123458"


def read(code: str) -> ForeignParts:
    return gs1.parts_of(code, PREFIXES)


@pytest.mark.parametrize(
    "same",
    [
        "URN:EPC:ID:SGTIN:0614141.812345.6789",
        "urn:epc:tag:sgtin-96:3:0614141.812345.6789",
        f"https://id.gs1.org/01/{GTIN}/21/6789",
        f"https://shop.example/a/b/gtin/{GTIN}/ser/6789?utm=1#top",
        f"(01){GTIN}(21)6789",
        f"01{GTIN}216789",
        f"(21)6789(01){GTIN}",
        f"(01){GTIN}(21)006789",  # leading zeros carry no meaning
    ],
)
def test_an_item_is_the_same_in_each_form(same: str) -> None:
    assert read(same) == read(URN)


def test_a_urn_has_no_lot_and_no_date_and_they_are_unknown_not_wrong() -> None:
    parts = read(URN)
    assert (parts.date, parts.serial, parts.product) == (NO_DATE, 6789, int(GTIN[:13]))
    parsed = codes.parse([parts.text()])
    assert parsed.well_formed.tolist() == [True]
    assert parsed.day.tolist() == [NO_DAY]
    assert parsed.serial.tolist() == [6789]


def test_lot_dates_and_text_serials_are_read() -> None:
    parts = read(f"01{GTIN}10AB-1\x1d11250102\x1d17260101\x1d21x/7")  # fixed ones may end with a separator too
    assert parts == read(f"https://x.org/01/{GTIN}/10/AB-1/21/x%2F7?11=250102&17=260101")
    assert parts.date == 20250102
    assert parts.serial < 0  # a name has no place among numbers
    other = read(f"(01){GTIN}(10)AB-2(11)250102(21)x/7")
    assert other.lot != parts.lot
    assert other.serial == parts.serial
    assert read(f"(01){GTIN}(10)AB-1(11)250100(21)1").date == NO_DATE  # DD may be 00: no day is named
    assert read(f"(01){GTIN}(10)AB-1(11)251332(21)1").date == 0  # no date of the calendar: a contradiction


@pytest.mark.parametrize("length", range(6, 13))
def test_companies_of_all_lengths_fit(length: int) -> None:
    company, item = "9" * length, "1" * (13 - length)
    parts = gs1.parts_of(f"urn:epc:id:sgtin:{company}.{item}.274877906943", [company])
    assert read_foreign(parts.text()) == parts
    assert parts.serial == 274877906943
    assert codes.parse([parts.text()]).company.tolist() == [parts.company]
    assert parts.company > 0


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("", "not of the form"),
        ("001.8804823.1293291.010004.20250701.000004002", "not of the form"),
        (f"(01){GTIN[:13]}1(21)1", f"the check digit of its GTIN {GTIN[:13]}1 is 1, not 8"),
        (f"https://id.gs1.org/01/{GTIN[:13]}0/21/1", "check digit"),
        (f"(01){GTIN}", "names no serial"),
        (f"https://id.gs1.org/01/{GTIN}", "names no serial"),
        ("(21)1", "names no GTIN"),
        ("https://id.gs1.org/21/1", "names no GTIN"),
        ("urn:epc:id:sgtin:0614141.81234.6789", "have 12 digits together, not 13"),
        ("urn:epc:id:sgtin:061414.8112345.1", "its company prefix is 061414, that of its GTIN is 0614141"),
        (f"(01){GTIN}(21)1(21)2", "twice, with two values"),
        (f"(01){GTIN}(21)", "serial (21) is not of 1 to 20"),
        (f"(01){GTIN}(21){'1' * 21}", "serial (21) is not of 1 to 20"),
        (f"(01){GTIN}(10)\u00e9(21)1", "batch (10) is not"),
        (f"(01){GTIN}(11)250102(17)250101(21)1", "expires (17) before it was made (11)"),
        (f"01{GTIN}9912345", "its element '99' is not known"),
        (f"(01){GTIN}(21)1)", "brackets"),
        (f"https://x/01/{GTIN}/21/1/10/A/10/B", "its element (10) is there twice"),
        (f"https://x/01/{GTIN}/21/1?%1B[2J=1&%1B[2J=2", r"its element ('\x1b[2J') is there twice"),
        ("urn:epc:id:sgtin:" + "1" * 1_000, "more than a GS1 code can have"),
    ],
)
def test_what_is_no_such_code_says_why(code: str, why: str) -> None:
    with pytest.raises(Malformed) as raised:
        read(code)
    assert why in str(raised.value)


@given(st.text(alphabet="0123456789", min_size=13, max_size=13), st.integers(0, 9))
def test_one_of_ten_check_digits_is_right(body: str, digit: int) -> None:
    code = f"(01){body}{digit}(21)5"
    if digit == check_digit(body):
        assert read(code).product == int(body) % (9 * 10**12)
    else:
        with pytest.raises(Malformed):
            read(code)


@given(
    st.lists(
        st.sampled_from([
            "urn:epc:id:sgtin:", "https://x/", "01", GTIN, "/", "(01)", "(", ")", "21", "10", "11", "\x1d", "%", "%2F",
            ".", "0614141", "999999", "?", "&", "=", "~", "!", "\u0660", "\ud800", "\0", "a", "-",
        ]),
        max_size=24,
    ).map("".join)
)  # fmt: skip
@settings(max_examples=100, deadline=None)
def test_any_text_is_read_or_malformed_at_once(text: str) -> None:
    def work() -> None:
        try:
            parts = read(text)
        except Malformed:
            return
        assert read_foreign(parts.text()) == parts

    assert spends_less(0.1, work)
