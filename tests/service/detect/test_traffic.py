"""Shares of the files: as large as they should be, the same for ever, and what moves when they change."""

from __future__ import annotations

import numpy as np
import pytest

from service.detect.traffic import Traffic

NAMES = {"champion": 1, "challenger": 2, "previous": None}
FILES = range(1, 4_001)


def shares(text: str, key: bytes = b"") -> dict[int, str]:
    traffic = Traffic.parse(text, key)
    return {file_id: traffic.choose(file_id, NAMES).name for file_id in FILES}


def test_each_share_gets_what_it_should() -> None:
    found = list(shares("lstm@challenger=10,rules=20").values())
    for name, percent in (("lstm@challenger", 10), ("rules@champion", 20), ("lstm@champion", 70)):
        expected, spread = percent / 100, np.sqrt(percent / 100 * (1 - percent / 100) / len(found))
        assert abs(found.count(name) / len(found) - expected) < 4 * spread
    assert set(shares("").values()) == {"lstm@champion"}
    assert set(shares("svm=100").values()) == {"svm@champion"}


def test_a_file_keeps_its_place_and_a_growing_share_only_wins_files() -> None:
    text = "lstm@challenger=10,rules=20"
    before, after = shares(text), shares("lstm@challenger=20,rules=20")
    assert before == shares(text)
    left = [file_id for file_id in FILES if before[file_id] == "lstm@challenger" != after[file_id]]
    assert not left
    won_by_rules = sum(after[one] == "rules@champion" != before[one] for one in FILES)
    assert won_by_rules < 0.04 * len(FILES), "hardly anything moves between the others"


def test_who_does_not_know_the_key_does_not_know_who_judges() -> None:
    text = "lstm@challenger=50"
    known, secret = shares(text), shares(text, b"sixteen bytes!!!")
    same = sum(known[one] == secret[one] for one in FILES) / len(FILES)
    assert 0.45 < same < 0.55


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("lstm@challenger", "is no share such as"),
        ("lstm@7a=10", "is no share such as"),
        ("forest=10", "is no share such as"),
        ("rules=60,svm=60", "adds up to 120 %"),
        ("rules=60,lstm@champion=60", "it must be 100"),
        ("rules=10,rules=10", "twice"),
    ],
)
def test_what_is_no_traffic_is_said(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Traffic.parse(text)
