"""The tables of verdicts and audit sample in SQL: what they are made by, and rows as records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from service.events.vocabulary import KINDS
from service.feedback.store import SampledEvent, SampledFile
from service.feedback.verdicts import EventLabel, LabelVerdict

_FIVE_SCORES, _FIVE_FLAGS = [f'"{kind}"' for kind in KINDS], [f'"{kind}Flag"' for kind in KINDS]

LABEL: Final = EventLabel._fields[:-1]
"""Columns of a label, without its place in the log."""

SAMPLE: Final = [*SampledEvent._fields[:-2], *_FIVE_SCORES, *_FIVE_FLAGS]
"""Columns of a sampled event."""

IDENTITY: Final = ("file_id", "event_id", "causal", "method", "model_version")
"""Those by which it is there once."""


def _judged_events(table: str) -> str:
    return f"""
CREATE TABLE IF NOT EXISTS {table} (
  sequence {{serial}}, event_id BIGINT NOT NULL, file_id BIGINT NOT NULL, epc_code TEXT NOT NULL,
  location_id BIGINT NOT NULL, business_step TEXT NOT NULL, event_type TEXT NOT NULL, event_time_us BIGINT NOT NULL,
  causal INTEGER NOT NULL, method TEXT NOT NULL, model_version TEXT NOT NULL, judged_at_us BIGINT NOT NULL,
  probability DOUBLE PRECISION NOT NULL, {", ".join(f"{name} DOUBLE PRECISION NOT NULL" for name in _FIVE_SCORES)},
  {", ".join(f"{name} INTEGER NOT NULL" for name in _FIVE_FLAGS)}, UNIQUE ({", ".join(IDENTITY)}));
CREATE INDEX IF NOT EXISTS {table}_of_file ON {table} ({", ".join(SampledFile._fields)});
"""


SCHEMA: Final = (
    """
CREATE TABLE IF NOT EXISTS labels (
  sequence {serial}, label_id TEXT NOT NULL UNIQUE, event_id BIGINT NOT NULL, file_id BIGINT NOT NULL,
  epc_code TEXT NOT NULL, kind TEXT NOT NULL, verdict TEXT NOT NULL, who TEXT NOT NULL, sent_by TEXT NOT NULL,
  labelled_at_us BIGINT NOT NULL, note TEXT NOT NULL, score DOUBLE PRECISION, flagged INTEGER,
  model_version TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS labels_of_event ON labels (event_id);
"""
    + _judged_events("sample")
    + "CREATE INDEX IF NOT EXISTS sample_by_time ON sample (judged_at_us);"
    + _judged_events("shadow")
)
"""Statements that make the tables; ``{serial}`` is the type of a number that counts up."""

WAITING: Final = """
FROM sample s WHERE sequence = (SELECT MIN(sequence) FROM sample WHERE file_id = s.file_id AND event_id = s.event_id)
AND NOT EXISTS (SELECT 1 FROM labels said
  WHERE said.event_id = s.event_id AND said.file_id = s.file_id AND said.verdict <> ? AND ? IN ('', said.who)
  AND NOT EXISTS (SELECT 1 FROM labels later WHERE later.event_id = said.event_id AND later.file_id = said.file_id
    AND later.kind = said.kind AND later.who = said.who
    AND (later.labelled_at_us, later.sequence) > (said.labelled_at_us, said.sequence)))
"""
"""Events of which no last word of a person (`verdicts.latest`) stands."""


def label_of(row: Sequence[Any]) -> EventLabel:
    """Return a label from a row of LABEL and its place in the log."""
    label = EventLabel(*row)
    flagged = None if label.flagged is None else bool(label.flagged)
    return label._replace(verdict=LabelVerdict(label.verdict), flagged=flagged)


def sampled_of(row: Sequence[Any]) -> SampledEvent:
    """Return a sampled event from a row of SAMPLE."""
    event = SampledEvent._make((*row[:-10], tuple(row[-10:-5]), tuple(map(bool, row[-5:]))))
    return event._replace(causal=bool(event.causal))
