"""Reports for the findings stores: a few scans, some of them flagged."""

from __future__ import annotations

from pathlib import Path

import duckdb

from service.events.vocabulary import KINDS
from service.findings.queries import lot_key
from service.findings.records import FileReport
from service.findings.schema import FINDINGS, INCIDENTS, SCANS, report_id
from service.findings.store import ReportContent

DAY_US = 86_400_000_000
START_US = 1_751_333_657_000_000  # 2025-07-01T01:34:17Z
HOSTILE = "<script>alert('x')</script>%_!\U0001f600"
CODE = "001.8804823.1293291.010004.20250701.00000400{}"


def a_report(name: str = "a.csv", created_us: int = START_US, detector: str = "rules", **fields: object) -> FileReport:
    """Return the summary of `content`."""
    given = {
        "report_id": report_id(name, detector, "c" * 64, ""),
        "file_name": name,
        "file_id": 1,
        "detector": detector,
        "method": "rule-based",
        "model_version": "",
        "language": "en",
        "content_sha256": "c" * 64,
        "created_us": created_us,
        "events": 7,
        "items": 4,
        "flagged": 3,
        "incidents": 2,
        "counts": dict.fromkeys(KINDS, 0) | {"epcFake": 1, "jump": 2},
        "first_us": START_US,
        "last_us": START_US + 6,
        "warning": "",
    }
    return FileReport(**(given | fields))  # type: ignore[arg-type]


def content(folder: Path) -> ReportContent:
    """Write three scans of an item, two of a mate, one of an item of another lot and one of a hostile code."""
    codes = [*[CODE.format(1)] * 3, *[CODE.format(2)] * 2, CODE.format(3).replace("010004", "010009"), HOSTILE]
    scans, findings = [], []
    for number, code in enumerate(codes):
        local_us = START_US + number * DAY_US
        row = {"number": number, "event_id": 100 + number, "epc_code": code, "location_id": 1 + number % 2}
        row |= {"place": f"place {1 + number % 2}", "step": "WMS", "event_type": "WMS_Inbound"}
        row |= {"time_us": START_US + number, "local_us": local_us, "lot_key": lot_key(code)}
        scans.append(row)
        kinds = {2: {"jump": 80.5}, 4: {"jump": 60.0}, 6: {"epcFake": 99.0}}.get(number)
        if kinds:
            found = dict.fromkeys(FINDINGS) | {name: value for name, value in row.items() if name in FINDINGS}
            found |= {
                "product": code.split(".")[2] if row["lot_key"] else "",
                "lot": "010004" if row["lot_key"] else "",
            }
            found["top_score"] = max(kinds.values())
            for kind, score in kinds.items():
                low = kind.lower()
                found |= {f"{low}_score": score, f"{low}_cause": f"cause_{low}", f"{low}_reason": f"why {code}"}
                found[f"{low}_incident"] = int(kind == "epcFake")
            findings.append(found)
    begins = {"reason": "why", "event_id": 102, "epc_code": CODE.format(1), "location_id": 1, "place": "place 1"}
    incidents = [
        {"incident": 0, "kind": "jump", "cause": "cause_jump", "items": 2, "events": 2, "local_us": START_US, **begins},
        {"incident": 1, "kind": "epcFake", "cause": "cause_epcfake", "items": 1, "events": 1, "local_us": 7, **begins},
    ]
    return ReportContent(
        scans=[write(folder / "scans.parquet", SCANS, scans)],
        findings=[write(folder / "findings.parquet", FINDINGS, findings)],
        incidents=[write(folder / "incidents.parquet", INCIDENTS, incidents)],
    )


def write(path: Path, columns: dict[str, str], rows: list[dict[str, object]]) -> Path:
    """Write rows as a Parquet file with the columns of a table, without report_id."""
    names = [name for name in columns if name != "report_id"]
    with duckdb.connect() as writer:
        writer.execute(f"CREATE TABLE t ({', '.join(f'{name} {columns[name]}' for name in names)})")
        for row in rows:
            writer.execute(f"INSERT INTO t VALUES ({', '.join('?' * len(names))})", [row[name] for name in names])
        writer.execute(f"COPY t TO '{path}' (FORMAT parquet)")
    return path
