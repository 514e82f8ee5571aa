"""A findings store by its URL: a folder, or a PostgreSQL server."""

from __future__ import annotations

from pathlib import Path

from service.findings.parquet import ParquetFindings
from service.findings.store import FindingsStore


def open_store(url: str, *, max_bytes: int, max_days: int) -> FindingsStore:
    """Return the store: a folder, or postgresql://USER:PASSWORD@HOST:PORT/DATABASE.

    Raises:
        StoreUnavailable: it cannot be used.
    """
    if url.startswith(("postgresql://", "postgres://")):
        from service.findings.postgres import PostgresFindings  # noqa: PLC0415 - a server is the exception

        return PostgresFindings(url, max_bytes=max_bytes, max_days=max_days)
    return ParquetFindings(Path(url), max_bytes=max_bytes, max_days=max_days)
