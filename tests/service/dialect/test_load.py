"""network.toml: what it may say, and one line on what is wrong with it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from service.dialect.load import load_dialect
from service.errors import SettingsError
from tests.support.folders.rewritten import FIVE_LEVELS_TOML, SGTIN_TOML

GS1, PATTERN = (b'[codes]\nscheme = "%s"\n' % scheme for scheme in (b"gs1", b"pattern"))


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


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe[\x00c\x00", "no TOML: 'utf-8' codec can't decode"),
        (b"a = " + b"[" * 5_000, "no TOML: lists or tables lie too deep in each other; write it flatter"),
        (b"a = " + b"9" * 5_000, "no TOML: Exceeds the limit (4300 digits)"),
        (b"a = 1\na = 2", "no TOML: Cannot overwrite a value"),
        (b"#" * 1_000_001, "larger than 1,000,000 bytes"),
        (b'"\\u001b[2J" = 1', r"\x1b[2J: there is no such setting; remove it"),
        (b'"' + b"x" * 9_000 + b'" = 1', "x" * 80 + "..: there is no such setting"),
        (b'[steps]\nWMS = ["' + b"x" * 201 + b'"]', "steps.WMS.0: is longer than 200 characters; shorten it"),
        (b"[steps]\nWMS = [" + b'"x",' * 1_001 + b"]", "steps.WMS: has more than 1000 entries; name fewer"),
        (GS1 + b"company_prefixes = [" + b'"1234567",' * 10_001 + b"]", "has more than 10000 entries"),
        (b'[codes]\nscheme = "gs1"\ncompany_prefixes = ["\\u001b"]', r"is '\x1b'; write 6 to 12 digits in quotes"),
        (b'[codes]\nscheme = "gs1"\ncompany_prefixes = "x"', "codes.company_prefixes: is no list"),
        (b'[codes]\nscheme = "pattern"\npattern = "' + b"(" * 240 + b"a" + b")" * 240 + b'"', "write it flatter"),
        (b'[codes]\nscheme = "pattern"\npattern = "' + b"a" * 501 + b'"', "is longer than 500 characters"),
        (b'[codes]\nscheme = "pattern"\npattern = "a{99999999999}"', "is no regular expression"),
        (b'[codes]\nscheme = "pattern"\npattern = "(a|a)*$"', "codes.pattern: may be read in more than"),
        (b'[codes]\nscheme = "pattern"\npattern = 3', "codes.pattern: is no text; write it in quotes"),
        (PATTERN + b'pattern = "x"\ndate_format = "MMYY"', "codes.date_format: is none of these; write"),
        (b"codes = [1]", "codes: "),
        (b'[codes]\nscheme = ["gs1"]', "codes: its scheme is not there or unknown"),
    ],
    ids=range(20),
)  # fmt: skip
def test_hostile_files_are_refused_in_one_short_line_and_at_once(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "network.toml").write_bytes(content)
    begun = time.process_time()
    with pytest.raises(SettingsError) as refused:
        load_dialect(tmp_path / "network.toml")
    assert time.process_time() - begun < 5
    assert said in str(refused.value)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 1_000


def test_what_windows_writes_is_read(tmp_path: Path) -> None:
    (tmp_path / "network.toml").write_bytes(b'\xef\xbb\xbf[columns]\r\nepc_code = "x"\r\n')
    assert load_dialect(tmp_path / "network.toml").columns == {"epc_code": "x"}


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"No such file.*--network takes a file such as network.toml"):
        load_dialect(tmp_path / "network.toml")
