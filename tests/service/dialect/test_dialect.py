"""Words and codes of a network, as the columns of its events have them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from service.dialect.dialect import Dialect, ranks, words_of
from service.events import codes
from service.events.columns import code_columns, step_codes, type_codes
from service.events.foreign import NO_DATE, read_foreign
from service.events.vocabulary import EVENT_TYPES, LEVELS, UNKNOWN
from tests.support.requests import NORMAL_CODE

PATTERN = {
    "scheme": "pattern",
    "pattern": r"(?P<company>[A-Z]{2})-(?P<product>[0-9]+)(/(?P<lot>[0-9A-Z]+))?(@(?P<date>[0-9]{6}))?#(?P<serial>\w+)",
    "date_format": "DDMMYY",
}


def dialect(**said: Any) -> Dialect:  # noqa: ANN401 - as a file says it
    return Dialect.model_validate(said)


def test_words_are_those_of_the_network_alone() -> None:
    words = dialect(steps={"WMS": ["Depot", "DC"]}, event_types={"POS_Sell": ["sold"]}).words
    assert step_codes([" depot", "dc", "WMS", "till"], words).tolist() == [1, 1, UNKNOWN, UNKNOWN]
    assert type_codes(["SOLD ", "POS_Sell"], words).tolist() == [EVENT_TYPES.index("POS_Sell"), UNKNOWN]
    assert (words.step_names[1], words.step_names[0], words.type_names[-1]) == ("Depot", "", "")


def test_levels_that_a_network_lacks_take_no_place() -> None:
    without_hubs = {name: [name.lower()] for name in LEVELS if name != "Logistics_HUB"}
    level, kind = dialect(steps=without_hubs).ranks()
    assert level.tolist() == [0, 1, 2, 2, 3, 4]
    inbound = {name: int(kind[EVENT_TYPES.index(name)]) for name in ("WMS_Outbound", "W_Stock_Inbound", "POS_Sell")}
    assert inbound == {"WMS_Outbound": 2, "W_Stock_Inbound": 3, "POS_Sell": 7}


def test_without_words_every_level_has_its_own_place() -> None:
    own, other = ranks(None), dialect(codes={"scheme": "dashed"}).ranks()
    assert [one.tolist() for one in own] == [one.tolist() for one in other]
    assert own[0].tolist() == list(range(len(LEVELS)))


def test_dashes_are_dots() -> None:
    words = dialect(codes={"scheme": "dashed"}).words
    dashed = NORMAL_CODE.replace(".", "-")
    epc, clean, spelling = code_columns([dashed, NORMAL_CODE, f" {dashed}\r"], words)
    assert clean == [NORMAL_CODE, f"!{NORMAL_CODE}"]
    assert epc.tolist() == [0, 1, 0]
    assert codes.parse(clean).well_formed.tolist() == [True, False]
    assert spelling is not None
    assert spelling.is_dirty.tolist() == [False, False, True]  # another scheme is no dirt


def test_a_pattern_takes_codes_apart_and_what_they_lack_is_unknown() -> None:
    words = dialect(codes=PATTERN).words
    _, clean, _ = code_columns(["AB-7/L1@010225#9", "AB-7#10", "CD-7#10", "AB-7/L1@310225#x9", "AB-7"], words)
    full, bare, other, no_date, nothing = map(read_foreign, clean)
    assert full is not None
    assert bare is not None
    assert other is not None
    assert no_date is not None
    assert nothing is None
    assert (full.date, bare.date, no_date.date) == (20250201, NO_DATE, 0)
    assert (full.serial, bare.serial) == (9, 10)
    assert no_date.serial < 0
    assert full.product == bare.product != other.product  # products are numbered by their companies
    assert full.lot != bare.lot
    parsed = codes.parse(clean)
    assert parsed.well_formed.tolist() == [True, True, True, True, False]
    assert parsed.date_valid.tolist() == [True, False, False, False, False]


def test_unique_products_are_those_of_others_too() -> None:
    words = dialect(codes=PATTERN | {"unique": ["product"]}).words
    _, clean, _ = code_columns(["AB-7#10", "CD-7#10"], words)
    assert np.unique(codes.parse(clean).product).tolist() == [7]


@pytest.mark.parametrize("text", ["~0000.061414100000.8061414112345.904739890174.--------.6789", "!x", "~", ""])
@pytest.mark.parametrize("scheme", [None, {"scheme": "dashed"}, {"scheme": "gs1"}, PATTERN])
def test_nobody_can_send_the_inner_form_of_a_code(text: str, scheme: dict[str, Any] | None) -> None:
    words = words_of(None if scheme is None else dialect(codes=scheme))
    epc, clean, spelling = code_columns([text, text], words)
    assert codes.parse(clean).well_formed.tolist() == [False]
    assert spelling is None or [spelling.texts[at] for at in spelling.of] == [text, text]
    assert epc.tolist() == [0, 0]


def test_why_a_code_is_malformed_is_said_of_other_schemes_alone() -> None:
    assert dialect().why_malformed("x") is None
    assert dialect(codes=PATTERN).why_malformed("AB-7#1") is None
    assert "pattern of the network" in str(dialect(codes=PATTERN).why_malformed("x"))
    assert "3, 7, 7, 6, 8 and 9 digits" in str(dialect(codes={"scheme": "dashed"}).why_malformed("x"))
