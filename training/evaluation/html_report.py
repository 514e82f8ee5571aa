"""An evaluation as one HTML file that needs nothing else: tables, curves, reliability, attention."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path

from training.evaluation import plots
from training.evaluation.conditions import curves
from training.evaluation.evaluate import Evaluation
from training.evaluation.inside import all_sheets
from training.evaluation.tables import Numbers, Sheet

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1500px; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; margin: .3rem 0 1.5rem; font-variant-numeric: tabular-nums; display: block;
  overflow-x: auto }
th, td { border: 1px solid #ddd; padding: .25rem .6rem; text-align: right }
th { background: #f4f4f4; white-space: pre-line; vertical-align: bottom }
th:first-child, td:first-child { text-align: left }
img { max-width: 100% }
.notice { background: #fff3cd; border: 1px solid #e0c060; padding: .6rem 1rem; font-weight: bold }
.note { color: #666; margin: 0 }
h2 { font-size: 1.1rem; margin: 1.5rem 0 0 }
"""


def write_html(evaluation: Evaluation, description: str, path: Path) -> None:
    """Write the report; every text in it that comes from data or arguments is escaped."""
    record = evaluation.run.record
    facts = {
        "evaluated": description,
        "trained": f"{record.created_at} on {record.lineage.data}, labels: {record.lineage.labels}",
        "files": ", ".join(f"{name} {digest[:12]}" for name, digest in evaluation.source["files_sha256"].items()),
    }
    body = [
        "<h1>Evaluation</h1>",
        *(f'<p class="notice">{escape(notice)}</p>' for notice in evaluation.notices),
        *(f"<p><b>{escape(name)}</b>: {escape(text)}</p>" for name, text in facts.items()),
        *map(sheet_html, all_sheets(evaluation.table)),
        *_pictures(evaluation),
    ]
    path.write_text(page_html("Evaluation", body), encoding="utf-8")


def page_html(title: str, body: list[str]) -> str:
    """Return a whole page of parts that are HTML already."""
    content = "\n".join(body)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body>\n{content}\n</body></html>\n"
    )


def sheet_html(sheet: Sheet) -> str:
    """Return a table with its title and note."""
    head = "".join(f"<th>{escape(heading)}</th>" for heading in sheet.headings)
    rows = "\n".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in sheet.rows)
    return (
        f'<h2>{escape(sheet.title)}</h2><p class="note">{escape(sheet.note)}</p>\n'
        f"<table><tr>{head}</tr>\n{rows}</table>"
    )


def _pictures(evaluation: Evaluation) -> list[str]:
    judged = evaluation.judged
    found = [
        picture_html(f"Precision and recall, {mode}", "dotted: 1 % false positives", plots.curves(part, mode))
        for mode, part in judged.items()
    ]
    note = "share of anomalous events by the model's probability; the numbers are events, the dotted line is perfect"
    found.append(picture_html("Reliability", note, plots.reliability(judged)))
    numbers = Numbers(evaluation.table)
    note = "share of the normal events that the model flags, and of the anomalies, by calendar day"
    found.append(picture_html("Over the days", note, curves.over_days(numbers)))
    note = "causal AP of the model, with what companions and traffic did until so long after each event"
    found.append(picture_html("What waiting is worth", note, curves.settling(numbers)))
    drawn = plots.attention(evaluation.run.model.model, judged["retrospective"], evaluation.subject.events)
    if drawn is not None:
        note = "weights of the self-attention in the clearest anomalous journey of each kind; rows add up to 1"
        found.append(picture_html("Attention over time", note, drawn))
    return found


def picture_html(title: str, note: str, image: bytes) -> str:
    """Return a PNG with its title and note."""
    data = base64.b64encode(image).decode("ascii")
    return (
        f'<h2>{escape(title)}</h2><p class="note">{escape(note)}</p>\n'
        f'<img alt="{escape(title)}" src="data:image/png;base64,{data}">'
    )
