"""A piece of events: as the gateway is asked about it, and as it is kept with the answer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from google.protobuf.message import Message
from numpy.typing import NDArray
from pydantic import BaseModel

from service.api.requests import DETECTOR_VALUES, DetectorName
from service.events.columns import Events, factorize, step_codes, type_codes
from service.events.journeys import Journeys
from service.events.vocabulary import KINDS
from service.explain.causes import CODES
from service.explain.incidents import Findings, incidents
from service.findings.catalog import sync
from service.findings.schema import INCIDENTS, TABLES
from service.findings.settle import quoted
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb

_FIELDS = dict(zip(KINDS, ("epc_fake", "epc_dup", "loc_err", "evt_order_err", "jump"), strict=True))
_MEMBERS = {
    "lstm_score": "lstm_sequence_score",
    "svm_score": "svm_outlier_score",
    "rule_score": "rule_score",
    "combined_score": "ml_combined_score",
}
_CAUSE = {code: at for at, code in enumerate(CODES)}
_INCIDENTS_OF_A_PIECE = 1 << 20  # numbers of incidents are those of the piece, and of the incident in it


class PieceVerdict(BaseModel):
    """What is known of a piece whose answer is kept."""

    method: str
    model_version: str
    warning: str
    flagged: int
    incidents: int
    counts: dict[str, int]


_Places = NDArray[np.intp]
PieceColumns = dict[str, Any]


def request_of(columns: PieceColumns, detector: str) -> pb.AnalyzeRequest:
    """Return the request about a piece, whose columns are those of `Staging.events_of`."""
    request = pb.AnalyzeRequest(detector=DETECTOR_VALUES[DetectorName(detector)], explain=True)
    names = ("event_id", "code", "location_id", "step", "event_type", "time_us")
    for event_id, code, location_id, step, event_type, time_us in zip(
        *(columns[name].tolist() for name in names), strict=True
    ):
        scan = request.data.add(
            event_id=event_id,
            epc_code=code,
            location_id=location_id,
            business_step=step,
            event_type=event_type,
            file_id=1,
        )
        scan.event_time.seconds, micros = divmod(time_us, 1_000_000)
        scan.event_time.nanos = micros * 1_000
    return request


def keep(
    folder: Path, number: int, columns: PieceColumns, answer: pb.AnalyzeResponse, places: Mapping[int, str]
) -> PieceVerdict:
    """Write a piece with its answer as Parquet files for the store, and last the record by which it counts as done."""
    place = np.array([places.get(one, "") for one in columns["location_id"].tolist()], dtype=object)
    shared = {name: columns[name] for name in ("number", "event_id", "location_id", "step", "event_type")}
    scans = shared | {"epc_code": columns["code"], "place": place, "lot_key": columns["lot_key"]}
    scans |= {"time_us": columns["time_us"], "local_us": columns["local_us"]}
    at = _positions(columns["event_id"], [finding.event_id for finding in answer.event_history])
    found, stories = _findings(scans, columns, at, answer, number)
    with duckdb.connect(config={"threads": 1}) as writer:
        for table, rows in (("scans", scans), ("findings", found), ("incidents", stories)):
            _write(writer, rows, TABLES[table], path_of(folder, number, table))
    stats = answer.file_anomaly_stats
    judged = PieceVerdict(
        method=answer.method,
        model_version=answer.model_version,
        warning=answer.warning,
        flagged=len(answer.event_history),
        incidents=len(stories["incident"]),
        counts={kind: getattr(stats, f"{field}_count") for kind, field in _FIELDS.items()},
    )
    record = folder / f"{number:06d}.json"
    scratch = record.with_suffix(".tmp")
    scratch.write_text(judged.model_dump_json())
    sync(scratch)
    scratch.replace(record)
    return judged


def judged_before(folder: Path, number: int) -> PieceVerdict | None:
    """Return what is known of a piece that is done, None if it is not."""
    record = folder / f"{number:06d}.json"
    return PieceVerdict.model_validate_json(record.read_bytes()) if record.is_file() else None


def path_of(folder: Path, number: int, table: str) -> Path:
    """Return where the rows of a piece lie."""
    return folder / f"{number:06d}-{table}.parquet"


def _positions(event_id: NDArray[np.int64], wanted: list[int]) -> _Places:
    order = np.argsort(event_id, kind="stable")
    return order[np.searchsorted(event_id, np.array(wanted, dtype=np.int64), sorter=order)]


def _findings(
    scans: PieceColumns,
    columns: PieceColumns,
    at: _Places,
    answer: pb.AnalyzeResponse,
    number: int,
) -> tuple[PieceColumns, PieceColumns]:
    """Return (the rows of the findings, those of their incidents)."""
    of_events = ("number", "event_id", "epc_code", "location_id", "place", "step", "event_type", "time_us", "local_us")
    rows: PieceColumns = {name: scans[name][at] for name in of_events}
    parts = [key.split(".") if key else ["", "", "", ""] for key in scans["lot_key"][at].tolist()]
    rows["product"] = _texts([part[2] for part in parts])
    rows["lot"] = _texts([part[3] for part in parts])
    history = answer.event_history
    for kind, field in _FIELDS.items():
        flagged = [bool(getattr(one, field)) for one in history]
        for what, name in (("score", f"{field}_score"), ("cause", f"{field}_cause"), ("reason", f"{field}_reason")):
            values = [getattr(one, name) if found else None for one, found in zip(history, flagged, strict=True)]
            rows[f"{kind.lower()}_{what}"] = _numbers(values) if what == "score" else _texts(values)
    scores = [rows[f"{kind.lower()}_score"] for kind in KINDS]
    rows["top_score"] = np.nanmax(np.stack(scores), axis=0) if history else np.zeros(0)
    for column, field in _MEMBERS.items():
        rows[column] = _numbers([_optional(one, field) for one in history])
    return rows, _incidents(rows, columns, at, number)


def _incidents(rows: PieceColumns, columns: PieceColumns, at: _Places, number: int) -> PieceColumns:
    """Number the incidents in the findings' rows, and return those of the incidents."""
    epc, codes = factorize(columns["code"].tolist())
    events = Events(
        event_id=columns["event_id"],
        epc=epc,
        epc_codes=codes,
        location_id=columns["location_id"],
        step=step_codes(columns["step"].tolist()),
        event_type=type_codes(columns["event_type"].tolist()),
        time_us=columns["time_us"],
        file_id=np.ones(len(epc), dtype=np.int64),
    )
    journeys = Journeys.of(events)
    row_of = np.empty(len(events), dtype=np.intp)
    row_of[journeys.order] = np.arange(len(events))
    pairs = [
        (place, kind, _CAUSE[cause])
        for kind, name in enumerate(KINDS)
        for place, cause in enumerate(rows[f"{name.lower()}_cause"].tolist())
        if cause
    ]
    pairs.sort()
    place, kind, cause = np.array(pairs, dtype=np.intp).reshape(-1, 3).T
    stories = incidents(journeys, Findings(row_of[at[place]], kind, cause))
    told: dict[str, list[Any]] = {name: [] for name in INCIDENTS if name != "report_id"}
    incident_of = {name: np.full(len(at), -1, dtype=np.int64) for name in KINDS}
    for story, one in enumerate(stories):
        its_number = number * _INCIDENTS_OF_A_PIECE + story
        for finding in one.findings.tolist():
            incident_of[KINDS[kind[finding]]][place[finding]] = its_number
        first = int(one.findings[0])
        row, name = int(place[first]), KINDS[kind[first]]
        told["incident"].append(its_number)
        told["kind"].append(name)
        told["cause"].append(CODES[cause[first]])
        told["reason"].append(rows[f"{name.lower()}_reason"][row])
        told["items"].append(one.items)
        told["events"].append(len(np.unique(place[one.findings])))
        for column in ("epc_code", "event_id", "location_id", "place", "local_us"):
            told[column].append(rows[column][row])
    for name in KINDS:
        rows[f"{name.lower()}_incident"] = incident_of[name]
    texts = {name for name, of in INCIDENTS.items() if of == "TEXT"}
    return {name: _texts(told[name]) if name in texts else np.array(told[name], dtype=np.int64) for name in told}


def _optional(message: Message, field: str) -> Any:  # noqa: ANN401 - of any field
    return getattr(message, field) if message.HasField(field) else None


def _texts(values: list[Any]) -> Any:  # noqa: ANN401 - an array of texts
    texts = np.empty(len(values), dtype=object)
    texts[:] = values
    return texts


def _numbers(values: list[Any]) -> Any:  # noqa: ANN401 - an array, NaN where there is no number
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _write(writer: duckdb.DuckDBPyConnection, rows: PieceColumns, columns: Mapping[str, str], path: Path) -> None:
    names = [name for name in columns if name != "report_id"]
    writer.register("rows", {name: rows[name] for name in names})
    chosen = ", ".join(_cast(name, columns[name]) for name in names)
    writer.execute(f"COPY (SELECT {chosen} FROM rows) TO {quoted(path)} (FORMAT parquet)")  # noqa: S608 - our names
    writer.unregister("rows")


def _cast(name: str, of: str) -> str:
    if of.startswith("DOUBLE"):
        return f"CASE WHEN isnan({name}) THEN NULL ELSE {name} END AS {name}"
    if name.endswith("_incident"):
        return f"NULLIF(CAST({name} AS BIGINT), -1) AS {name}"
    return f"CAST({name} AS {of}) AS {name}"
