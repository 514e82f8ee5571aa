"""The files of a world: raw files as the real ones, the reference tables and the truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.csv  # type: ignore[import-untyped]
import pyarrow.parquet  # type: ignore[import-untyped]

from service.events.vocabulary import EVENT_TYPES, KINDS
from training.simulation.anomalies import VARIANTS
from training.simulation.catalogue import Catalogue
from training.simulation.networks.masters import write_masters
from training.simulation.scans import NOISES, Items, Scans, date_text, printed_code

_EPOCH = np.datetime64("2025-07-01T00:00:00", "s")
_STEPS = (
    "Factory",
    "WMS",
    "WMS",
    "Logistics_HUB",
    "Logistics_HUB",
    "W_Stock_Inbound",
    "W_Stock_Outbound",
    "R_Stock_Inbound",
    "R_Stock_Outbound",
    "POS_Sell",
)
_HUB_TYPES = (
    "_Factory",
    "_WMS_Inbound",
    "_WMS_Outbound",
    "_Logi_HUB_Inbound",
    "_Logi_HUB_Outbound",
    "_Stock_Inbound",
    "_Stock_Outbound",
    "_Stock_Inbound",
    "_Stock_Outbound",
    "_POS_Sell",
)
_EXPIRY_DAYS = 183


def write_files(out: Path, scans: Scans, items: Items, cat: Catalogue) -> Scans:
    """Write all files of the world to ``out`` and return the scans in the order of their rows."""
    codes = _codes(items)
    by_code = np.empty(len(codes), dtype=np.int64)
    by_code[np.argsort(np.array(codes), kind="stable")] = np.arange(len(codes))
    file = cat.product_factory[items.product][scans.item]
    order = np.lexsort((scans.step, cat.places.location_id[scans.place], scans.time, by_code[scans.item], file))
    scans, file = scans.take(order), file[order]
    parts = _code_parts(codes, items)
    for code, name in enumerate(cat.factories):
        table = _raw_table(scans.take(file == code), name, parts, items, cat)
        _write_tsv(table, out / f"{name}.csv")
    pa.parquet.write_table(_truth(scans), out / "truth.parquet")
    write_masters(out, cat)
    return scans


def _codes(items: Items) -> list[str]:
    """Return the printed code of each item."""
    return [items.malformed.get(i) or printed_code(items, i) for i in range(len(items.lot))]


def _code_parts(codes: list[str], items: Items) -> dict[str, pa.Array]:
    """Return the code and its parts by item as the raw files repeat them, a part that cannot be read as empty."""
    names = ("epc_header", "epc_company", "epc_product", "epc_lot", "epc_manufacture", "epc_serial")
    dates = np.array([int(date) for date in map(date_text, range(-30, 500))])
    columns = [
        np.full_like(items.lot, items.header),
        items.company,
        items.number,
        items.lot_number,
        dates[items.day + 30],
    ]
    parts = [column.astype(str).tolist() for column in (*columns, items.serial)]
    for item, code in items.malformed.items():
        printed = code.split(".")
        for column, part in zip(parts, printed if len(printed) == len(parts) else [""] * len(parts), strict=True):
            column[item] = str(int(part)) if part.isdigit() else part
    return {"epc_code": pa.array(codes)} | {name: pa.array(part) for name, part in zip(names, parts, strict=True)}


def _raw_table(scans: Scans, factory: str, parts: dict[str, pa.Array], items: Items, cat: Catalogue) -> pa.Table:
    """Return the rows of one file with the columns of the real files, in their order."""
    places = cat.places
    item, step, place = pa.array(scans.item), pa.array(scans.step), pa.array(scans.place)
    location = pa.array(places.location_id[scans.place])
    hub_types = pa.array([prefix + suffix for prefix in places.prefix for suffix in _HUB_TYPES])
    expiry = pa.array([date_text(day + _EXPIRY_DAYS) for day in cat.lot_day.tolist()])
    products = pa.array([f"Product {i + 1}" for i in range(len(cat.product_number))])
    return pa.table(
        {
            "scan_location": pa.array(places.name).take(place),
            "location_id": location,
            "hub_type": hub_types.take(pa.array(scans.place * len(_HUB_TYPES) + scans.step)),
            "business_step": pa.array(_STEPS).take(step),
            "event_type": pa.array(EVENT_TYPES).take(step),
            "operator_id": location,
            "device_id": location,
            **{name: values.take(item) for name, values in parts.items()},
            "product_name": products.take(pa.array(items.product[scans.item])),
            "event_time": pa.array(_EPOCH + scans.time),
            "manufacture_date": pa.array(_EPOCH + items.made[scans.item]),
            "expiry_date": expiry.take(pa.array(items.lot[scans.item])),
            "factory": pa.array([factory]).take(pa.array(np.zeros(len(scans), dtype=np.int64))),
        }
    )


def _write_tsv(table: pa.Table, path: Path) -> None:
    with path.open("wb") as file:
        file.write(("\t".join(table.column_names) + "\n").encode())  # pyarrow would put the names in quotes
        options = pa.csv.WriteOptions(include_header=False, delimiter="\t", quoting_style="none")
        pa.csv.write_csv(table, file, options)


def _truth(scans: Scans) -> pa.Table:
    """Return the truth in the order of the rows of the files: labels per kind, variant, difficulty and noise."""
    names, levels = [v.name for v in VARIANTS] + [""], [v.difficulty for v in VARIANTS] + [""]
    variant = pa.array(np.where(scans.variant < 0, len(VARIANTS), scans.variant))
    return pa.table(
        {"event_id": pa.array(np.arange(1, len(scans) + 1))}
        | {kind: pa.array(scans.labels[:, i]) for i, kind in enumerate(KINDS)}
        | {
            "variant": pa.array(names).take(variant),
            "difficulty": pa.array(levels).take(variant),
            "noise": pa.array(NOISES).take(pa.array(scans.noise)),
        }
    )
