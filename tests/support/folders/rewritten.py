"""A world as another network would have written it: its codes by GS1, its columns and words of its own.

Run it as ``python -m tests.support.folders.rewritten WORLD OUT [sgtin|elements]``: writes a world and its network.toml.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd

_DOTTED = re.compile(r"\d{3}\.(\d{7})\.(\d{7})\.(\d{6})\.(\d{8})\.(\d{9})")

SGTIN_TOML = """\
[codes]
scheme = "gs1"
company_prefixes = ["8804823", "8805843", "8809437"]
"""

FIVE_LEVELS_TOML = """\
[columns]
epc_code = "item"
location_id = "site"
business_step = "stage"
event_type = "activity"
event_time = "scanned_at"

[steps]            # five levels: this network has no hubs
Factory = ["plant"]
WMS = ["central depot"]
W_Stock = ["wholesale"]
R_Stock = ["shop floor", "shop back room"]
POS_Sell = ["till"]

[event_types]
Aggregation = ["packed"]
WMS_Inbound = ["depot in"]
WMS_Outbound = ["depot out"]
W_Stock_Inbound = ["wholesale in"]
W_Stock_Outbound = ["wholesale out"]
R_Stock_Inbound = ["shop in"]
R_Stock_Outbound = ["shop out"]
POS_Sell = ["sold"]

[codes]
scheme = "gs1"
company_prefixes = ["8804823", "8805843", "8809437"]
"""

_TYPES = {
    "Aggregation": "packed",
    "WMS_Inbound": "depot in",
    "WMS_Outbound": "depot out",
    "W_Stock_Inbound": "wholesale in",
    "W_Stock_Outbound": "wholesale out",
    "R_Stock_Inbound": "shop in",
    "R_Stock_Outbound": "shop out",
    "POS_Sell": "sold",
}
_STEPS = {
    "Factory": "plant",
    "WMS": "central depot",
    "W_Stock_Inbound": "wholesale",
    "W_Stock_Outbound": "wholesale",
    "R_Stock_Inbound": "shop floor",
    "R_Stock_Outbound": "Shop back room",
    "POS_Sell": "till",
}


def check_digit(body: str) -> int:
    """Return the check digit of the 13 digits before it."""
    return -sum(int(digit) * (3 if at % 2 == 0 else 1) for at, digit in enumerate(body)) % 10


def _gtin(company: str, product: str) -> str:
    body = "0" + company + f"{int(product) % 100_000:05d}"
    return body + str(check_digit(body))


def sgtin(code: str) -> str:
    """Return a dotted code as an SGTIN, which has no lot and no date; a malformed one as it is."""
    if (found := _DOTTED.fullmatch(code)) is None:
        return code
    company, product, _, _, serial = found.groups()
    return f"urn:epc:id:sgtin:{company}.0{int(product) % 100_000:05d}.{int(serial)}"


def elements(code: str) -> str:
    """Return a dotted code as an element string with batch and date of making; a malformed one as it is."""
    if (found := _DOTTED.fullmatch(code)) is None:
        return code
    company, product, lot, date, serial = found.groups()
    return f"(01){_gtin(company, product)}(10)L{lot}(11){date[2:]}(21){int(serial)}"


def rewrite(world: Path, out: Path, code: Callable[[str], str], *, five_levels: bool) -> Path:
    """Write the raw files of a world with other codes to ``out``, and with ``five_levels`` in other words.

    Events keep their ids, and the truth is the same; hubs, of which five levels have none, are left out.
    """
    out.mkdir(parents=True, exist_ok=True)
    for name in ("locations.csv", "transitions.csv", "truth.parquet"):
        shutil.copyfile(world / name, out / name)
    names, first = ("epc_code", "location_id", "business_step", "event_type", "event_time"), 1
    for path in sorted(world.glob("*.csv")):
        if path.name in {"locations.csv", "transitions.csv"}:
            continue
        rows = pd.read_csv(path, sep="\t", dtype=str, encoding="utf-8-sig", keep_default_na=False)
        rows = rows.assign(event_id=range(first, first + len(rows)))[["event_id", *names]]
        first += len(rows)
        rows["epc_code"] = rows["epc_code"].map({text: code(text) for text in rows["epc_code"].unique()})
        if five_levels:
            rows = rows[rows["event_type"].isin(_TYPES)]
            rows["event_type"], rows["business_step"] = (
                rows["event_type"].map(_TYPES),
                rows["business_step"].map(_STEPS),
            )
            rows.columns = ["event_id", "item", "site", "stage", "activity", "scanned_at"]
        rows.to_csv(out / path.name, index=False)
    (out / "network.toml").write_text(FIVE_LEVELS_TOML if five_levels else SGTIN_TOML, encoding="utf-8")
    return out / "network.toml"


if __name__ == "__main__":
    form = sys.argv[3] if len(sys.argv) > 3 else "sgtin"
    rewrite(
        Path(sys.argv[1]), Path(sys.argv[2]), {"sgtin": sgtin, "elements": elements}[form], five_levels=form != "sgtin"
    )
