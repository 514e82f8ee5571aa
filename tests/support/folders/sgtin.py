"""A small folder of a network with columns, words and codes (SGTINs) of its own."""

from __future__ import annotations

from pathlib import Path

from service.dialect.dialect import Dialect
from service.dialect.load import load_dialect
from tests.support.folders.raw import fill

HEADER = "Item,site,activity,scanned_at\n"

ITEM = "urn:epc:id:sgtin:0614141.812345.67"

FIRST, SECOND = f"{ITEM}1,1,packed,2025-07-01 10:34:17\n", f"{ITEM}1,5,depot in,2025-07-01 11:02:38\n"

NETWORK = """
[columns]
epc_code = "item"
location_id = "site"
scan_location = "where"
event_type = "activity"
business_step = "stage"
event_time = "scanned_at"
event_id = "number"

[event_types]
Aggregation = ["packed"]
WMS_Inbound = ["depot in"]

[codes]
scheme = "gs1"
"""


def sgtin_folder(folder: Path, **files: str | bytes) -> tuple[Path, Dialect]:
    """Write a folder with masters and the given files, as `raw.fill`; return it and how its files are written."""
    (folder / "network.toml").write_text(NETWORK, encoding="utf-8")
    return fill(folder, **files), load_dialect(folder / "network.toml")
