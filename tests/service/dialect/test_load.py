"""network.toml: what it may say, and one line on what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.dialect.load import load_dialect
from service.errors import SettingsError
from tests.support.folders.rewritten import FIVE_LEVELS_TOML, SGTIN_TOML


def written(folder: Path, text: str) -> Path:
    path = folder / "network.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("text", ["", SGTIN_TOML, FIVE_LEVELS_TOML, '[codes]\nscheme = "dashed"'])
def test_a_file_survives_the_manifest(tmp_path: Path, text: str) -> None:
    told = load_dialect(written(tmp_path, text))
    assert type(told).model_validate(told.model_dump(mode="json")) == told


@pytest.mark.parametrize(
    ("text", "key", "fix"),
    [
        ("a =", "no TOML", "Invalid value"),
        ("colums = {}", "colums", "there is no such setting; remove it"),
        ('[columns]\nepc = "x"', "columns.epc", "the model has no such name; write one of epc_code, location_id"),
        ("[columns]\nepc_code = 3", "columns.epc_code", "write it in quotes"),
        ('[columns]\nepc_code = "x"\nevent_time = "X"', "columns", "name each once"),
        ('columns = "x"', "columns", "is no table; write it as [table]"),
        ('[steps]\nShop = ["x"]', "steps.Shop", "write one of Factory, WMS"),
        ('[steps]\nWMS = "x"', "steps.WMS", 'is no list; write ["…", "…"]'),
        ("[steps]\nWMS = []", "steps.WMS", "at least 1"),
        ('[steps]\nWMS = ["dc"]\nFactory = ["DC "]', "steps", "'dc' stands for WMS and for Factory; give it to one"),
        ('[event_types]\nSold = ["x"]', "event_types.Sold", "write one of Aggregation"),
        ('[codes]\nscheme = "sscc"', "codes", "write scheme = one of dashed, dotted, gs1, pattern"),
        ('[codes]\npattern = "x"', "codes", "write scheme = one of"),
        ('[codes]\nscheme = "gs1"\ncompany_prefixes = ["12"]', "codes.company_prefixes.0", "write 6 to 12 digits"),
        ('[codes]\nscheme = "gs1"\npattern = "x"', "codes.pattern", "there is no such setting"),
        ('[codes]\nscheme = "pattern"', "codes.pattern", "is missing; give it"),
        ('[codes]\nscheme = "pattern"\npattern = "("', "codes.pattern", "is no regular expression"),
        ('[codes]\nscheme = "pattern"\npattern = "(a+)+"', "codes.pattern", "say how many there are: [0-9]{7}"),
        (
            '[codes]\nscheme = "pattern"\npattern = "(?P<product>a)"',
            "codes.pattern",
            "names no group serial: write it as (?P<serial>[0-9]+)",
        ),
        (
            '[codes]\nscheme = "pattern"\npattern = "(?P<product>a)(?P<sn>b)"',
            "codes.pattern",
            "names a group sn: the groups are header, company, product, lot, date, serial",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, text: str, key: str, fix: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(SettingsError) as raised:
        load_dialect(path)
    said = str(raised.value)
    assert said.startswith(f"{path}: {key}")
    assert fix in said
    assert "\n" not in said


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"No such file.*--network takes a file such as network.toml"):
        load_dialect(tmp_path / "network.toml")
