"""What is asked of the tables, in SQL that DuckDB and PostgreSQL share: reading is the same for every store."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from service.events.vocabulary import KINDS
from service.findings.records import (
    FileReport,
    FindingFilter,
    FindingRow,
    FlowScans,
    GroupCount,
    Grouping,
    IncidentRow,
    KindFound,
    Listing,
    LotItem,
    ReportFilter,
    ScanRow,
    Window,
)
from service.findings.schema import FINDINGS, INCIDENTS, MEMBERS, REPORTS, SCANS

_DAY_US = 86_400_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LOW = {kind: kind.lower() for kind in KINDS}
_KEY = {
    "day": f"CAST(floor(local_us / {_DAY_US}.0) AS BIGINT)",
    "place": "location_id",
    "product": "product",
    "lot": "lot",
}
_ORDER = {"number": "number", "score": "top_score DESC, number", "time": "time_us, number"}
_SCAN = tuple(SCANS)[1:-1]
_FOUND = tuple(FINDINGS)[1:]
_AT = {name: place for place, name in enumerate(_FOUND)}


class Reading(ABC):
    """The half of a store that reads."""

    @abstractmethod
    def _rows(self, report_id: int | None, sql: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        """Return what a query gives. ``{reports}`` and so on stand for the tables, ``?`` for each value.

        With ``report_id`` only its rows are of interest, and the query says so too.
        """

    def reports(self, window: Window, which: ReportFilter = ReportFilter()) -> Listing[FileReport]:  # noqa: B008 - frozen
        """See `FindingsStore.reports`."""
        where, values = _of_reports(which)
        sql = f"SELECT {', '.join(REPORTS)}, count(*) OVER () FROM {{reports}} WHERE {where}"  # noqa: S608 - our names
        sql += " ORDER BY created_us DESC, report_id LIMIT ? OFFSET ?"
        rows = self._rows(None, sql, [*values, window.limit, window.offset])
        total = rows[0][-1] if rows else self._count(None, f"{{reports}} WHERE {where}", values)
        return Listing(tuple(_report(row) for row in rows), total)

    def report(self, report_id: int) -> FileReport | None:
        """See `FindingsStore.report`."""
        sql = f"SELECT {', '.join(REPORTS)} FROM {{reports}} WHERE report_id = ?"  # noqa: S608
        rows = self._rows(report_id, sql, [report_id])
        return _report(rows[0]) if rows else None

    def findings(
        self,
        report_id: int,
        window: Window,
        which: FindingFilter = FindingFilter(),  # noqa: B008 - frozen
    ) -> Listing[FindingRow]:
        """See `FindingsStore.findings`."""
        where, values = _of_findings(report_id, which)
        total = self._count(report_id, f"{{findings}} WHERE {where}", values)
        order = _ORDER[which.order]
        # Which rows first, then all their columns: of a million rows those cost seconds where a later part is asked.
        chosen = f"SELECT number FROM {{findings}} WHERE {where} ORDER BY {order} LIMIT ? OFFSET ?"  # noqa: S608
        sql = f"SELECT {', '.join(_FOUND)} FROM {{findings}} WHERE report_id = ? AND number IN ({chosen})"  # noqa: S608
        sql += f" ORDER BY {order}"
        rows = self._rows(report_id, sql, [report_id, *values, window.limit, window.offset]) if total else []
        return Listing(tuple(_finding(row) for row in rows), total)

    def incidents(self, report_id: int, window: Window, kind: str = "") -> Listing[IncidentRow]:
        """See `FindingsStore.incidents`."""
        values: list[object] = [report_id, *([kind] if kind else [])]
        where = "report_id = ?" + (" AND kind = ?" if kind else "")
        total = self._count(report_id, f"{{incidents}} WHERE {where}", values)
        sql = f"SELECT {', '.join(tuple(INCIDENTS)[1:])} FROM {{incidents}} WHERE {where}"  # noqa: S608
        sql += " ORDER BY items DESC, events DESC, incident LIMIT ? OFFSET ?"
        rows = self._rows(report_id, sql, [*values, window.limit, window.offset])
        return Listing(tuple(IncidentRow(*row) for row in rows), total)

    def groups(self, report_id: int, by: Grouping) -> list[GroupCount]:
        """See `FindingsStore.groups`."""
        if by == "cause":
            return self._by_cause(report_id)
        counts = ", ".join(f"count({low}_score)" for low in _LOW.values())
        name = "min(place)" if by == "place" else "''"
        sql = f"SELECT {_KEY[by]} AS grouped, {name}, {counts}, count(*) FROM {{findings}}"  # noqa: S608
        sql += " WHERE report_id = ? GROUP BY 1 ORDER BY " + ("1" if by == "day" else f"{len(KINDS) + 3} DESC, 1")
        found = []
        for key, named, *of_kind, _ in self._rows(report_id, sql, [report_id]):
            shown = (_EPOCH + timedelta(days=key)).strftime("%Y-%m-%d") if by == "day" else str(key)
            found.append(GroupCount(shown, named or shown, dict(zip(KINDS, of_kind, strict=True))))
        return found

    def _by_cause(self, report_id: int) -> list[GroupCount]:
        found: dict[str, dict[str, int]] = {}
        sql = " UNION ALL ".join(
            f"SELECT '{kind}', {low}_cause, count(*) FROM {{findings}}"  # noqa: S608 - our names
            f" WHERE report_id = ? AND {low}_score IS NOT NULL GROUP BY 2"
            for kind, low in _LOW.items()
        )
        for kind, cause, count in self._rows(report_id, sql, [report_id] * len(_LOW)):
            found.setdefault(cause, dict.fromkeys(KINDS, 0))[kind] = count
        ranked = sorted(found.items(), key=lambda one: (-sum(one[1].values()), one[0]))
        return [GroupCount(cause, cause, counts) for cause, counts in ranked]

    def items(self, report_id: int, epc_codes: Sequence[str]) -> list[list[ScanRow]]:
        """See `FindingsStore.items`."""
        if not epc_codes:
            return []
        epc_codes = [kept_text(code) for code in epc_codes]
        where, values = self._items_where(epc_codes)
        sql = f"SELECT {', '.join(_SCAN)} FROM {{scans}} WHERE report_id = ? AND {where} ORDER BY time_us, number"  # noqa: S608
        scans = self._rows(report_id, sql, [report_id, *values])
        sql = f"SELECT {', '.join(_FOUND)} FROM {{findings}} WHERE report_id = ? AND {_among(epc_codes)}"  # noqa: S608
        found = [_finding(row) for row in self._rows(report_id, sql, [report_id, *epc_codes])] if scans else []
        kinds = {one.number: one.kinds for one in found}
        of_item: dict[str, list[ScanRow]] = {code: [] for code in epc_codes}
        for row in scans:
            scan = ScanRow(**dict(zip(_SCAN, row, strict=True)), kinds=kinds.get(row[0], ()))
            of_item[scan.epc_code].append(scan)
        return [of_item[code] for code in epc_codes]

    def mates(self, report_id: int, epc_code: str, limit: int) -> list[LotItem]:
        """See `FindingsStore.mates`."""
        if not (key := lot_key(epc_code)):
            return []
        sql = (
            "SELECT s.epc_code, s.scans, COALESCE(f.found, 0) FROM (SELECT epc_code, count(*) AS scans FROM {scans}"
            " WHERE report_id = ? AND epc_code >= ? AND epc_code < ? AND lot_key = ? AND epc_code <> ? GROUP BY 1) s"
            " LEFT JOIN (SELECT epc_code, count(*) AS found FROM {findings} WHERE report_id = ? GROUP BY 1) f"
            " ON f.epc_code = s.epc_code ORDER BY 3 DESC, 1 LIMIT ?"
        )
        # The range is of use to the statistics of Parquet; "/" is the letter after "."
        values = [report_id, f"{key}.", f"{key}/", key, epc_code, report_id, limit]
        return [LotItem(*row) for row in self._rows(report_id, sql, values)]

    def flow_scans(self, report_id: int) -> FlowScans:
        """See `FindingsStore.flow_scans`."""
        columns = "number, epc_code, location_id, place, step, event_type, time_us"
        rows = self._rows(report_id, f"SELECT {columns} FROM {{scans}} WHERE report_id = ? ORDER BY 1", [report_id])  # noqa: S608
        flags = ", ".join(f"{low}_score IS NOT NULL" for low in _LOW.values())
        sql = f"SELECT number, COALESCE(jump_cause, '') = 'stalled', {flags} FROM {{findings}} WHERE report_id = ?"  # noqa: S608
        flagged = [(number, of_kinds, has) for number, has, *of_kinds in self._rows(report_id, sql, [report_id])]
        return FlowScans([(*row[:3], *(text or "" for text in row[3:6]), row[6]) for row in rows], flagged)

    def _items_where(self, epc_codes: Sequence[str]) -> tuple[str, list[object]]:
        """Return the condition that finds the scans of items."""
        return _among(epc_codes), list(epc_codes)

    def _count(self, report_id: int | None, source: str, values: Sequence[object]) -> int:
        return int(self._rows(report_id, f"SELECT count(*) FROM {source}", values)[0][0])  # noqa: S608


def _among(epc_codes: Sequence[str]) -> str:
    return f"epc_code IN ({', '.join('?' * len(epc_codes))})"


def kept_text(text: str) -> str:
    """Return a text as stores keep it: PostgreSQL has no NUL."""
    return text.replace("\x00", "\u2400")


def lot_key(epc_code: str) -> str:
    """Return header.company.product.lot of a code, "" of one that has other parts."""
    parts = epc_code.split(".")
    sound = [len(part) for part in parts] == [3, 7, 7, 6, 8, 9] and epc_code.isascii()
    return ".".join(parts[:4]) if sound and all(part.isdigit() for part in parts) else ""


def _of_reports(which: ReportFilter) -> tuple[str, list[object]]:
    where: list[str] = ["1 = 1"]
    values: list[object] = []
    for condition, value in (
        ("lower(file_name) LIKE ? ESCAPE '!'", _part(which.file_name.lower())),
        ("detector = ?", which.detector or None),
        ("created_us >= ?", which.since_us),
        ("created_us < ?", which.until_us),
    ):
        if value is not None:
            where.append(condition)
            values.append(value)
    if which.kind:
        where.append(f"{_LOW[which.kind]}_count > 0")
    return " AND ".join(where), values


def _of_findings(report_id: int, which: FindingFilter) -> tuple[str, list[object]]:
    where: list[str] = ["report_id = ?"]
    values: list[object] = [report_id]
    kinds = [_LOW[which.kind]] if which.kind else list(_LOW.values())

    def any_kind(condition: str, value: object) -> None:
        where.append("(" + " OR ".join(f"{low}_{condition}" for low in kinds) + ")")
        values.extend([value] * len(kinds))

    if which.kind:
        where.append(f"{kinds[0]}_score IS NOT NULL")
    if which.cause:
        any_kind("cause = ?", kept_text(which.cause))
    if which.min_score > 0:
        any_kind("score >= ?", which.min_score)
    if which.incident is not None:
        any_kind("incident = ?", which.incident)
    for condition, value in (
        ("location_id = ?", which.location_id),
        ("epc_code LIKE ? ESCAPE '!'", _part(which.epc_code)),
        ("product = ?", kept_text(which.product) or None),
        ("lot = ?", kept_text(which.lot) or None),
        ("local_us >= ?", which.since_us),
        ("local_us < ?", which.until_us),
    ):
        if value is not None:
            where.append(condition)
            values.append(value)
    return " AND ".join(where), values


def _part(text: str) -> str | None:
    """Return the pattern of LIKE for texts that have ``text`` in them, None for all."""
    if not text:
        return None
    return "%" + kept_text(text).replace("!", "!!").replace("%", "!%").replace("_", "!_") + "%"


def _report(row: Sequence[Any]) -> FileReport:
    named = dict(zip(REPORTS, row, strict=False))
    counts = {kind: named.pop(f"{low}_count") for kind, low in _LOW.items()}
    return FileReport(**named, counts=counts)


def report_row(report: FileReport) -> list[object]:
    """Return the values of a report in the order of its table's columns."""
    counts = {f"{low}_count": report.counts[kind] for kind, low in _LOW.items()}
    return [counts[name] if name in counts else getattr(report, name) for name in REPORTS]


def _finding(row: Sequence[Any]) -> FindingRow:
    kinds = []
    for kind, low in _LOW.items():
        at = _AT[f"{low}_score"]
        score, cause, reason, incident = row[at : at + 4]
        if score is not None:
            kinds.append(KindFound(kind, score, cause or "", reason or "", -1 if incident is None else incident))
    scores = {member: row[_AT[f"{member}_score"]] for member in MEMBERS}
    known = {member: score for member, score in scores.items() if score is not None}
    event = dict(zip(_SCAN, row, strict=False))
    return FindingRow(**event, kinds=tuple(kinds), scores=known)
