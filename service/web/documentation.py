"""``/docs``: the OpenAPI description as a plain page, without scripts and without another host."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

router = APIRouter(include_in_schema=False)

_STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}
pre{background:#f4f4f4;padding:.8rem;overflow:auto;font-size:.85rem}
h2{margin-top:2.5rem;border-top:1px solid #ccc;padding-top:1rem}code{font-weight:600}
table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:.2rem .6rem;text-align:left}
"""


@router.get("/docs.css")
async def style() -> Response:
    """Return the looks of the page: the page itself may hold none."""
    return Response(_STYLE, media_type="text/css")


@router.get("/docs")
async def page(request: Request) -> HTMLResponse:
    """Return what every path takes and answers, with examples."""
    described = request.app.openapi()
    title = f"{described['info']['title']} {described['info']['version']}"
    parts = [
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<link rel="stylesheet" href="/docs.css"></head><body>',
        f'<h1>{escape(title)}</h1><p>The same for programs: <a href="/openapi.json">openapi.json</a>.'
        " Errors are application/problem+json.</p>",
    ]
    for path, methods in described["paths"].items():
        for method, told in methods.items():
            parts += _operation(path, method.upper(), told)
    return HTMLResponse("".join([*parts, "</body></html>"]))


def _operation(path: str, method: str, told: Mapping[str, Any]) -> Iterator[str]:
    yield f"<h2><code>{method} {escape(path)}</code></h2><p><b>{escape(_sentence(told.get('summary', '')))}</b>"
    yield f" {escape(told.get('description', ''))}</p>"
    if parameters := told.get("parameters"):
        rows = (
            f"<tr><td>{escape(one['name'])}</td><td>{escape(one.get('description', ''))}</td></tr>"
            for one in parameters
        )
        yield f"<table><tr><th>Parameter</th><th>Meaning</th></tr>{''.join(rows)}</table>"
    for kind, content in told.get("requestBody", {}).get("content", {}).items():
        for example in content.get("examples", {}).values():
            yield f"<h3>{escape(example['summary'])} ({escape(kind)})</h3>{_json(example['value'])}"
    for status, answer in told.get("responses", {}).items():
        for content in answer.get("content", {}).values():
            if "example" in content:
                yield f"<h3>{escape(status)}: {escape(answer['description'])}</h3>{_json(content['example'])}"


def _sentence(text: str) -> str:
    return text if text.endswith(("?", "!")) else f"{text}."


def _json(value: object) -> str:
    return f"<pre>{escape(json.dumps(value, indent=1, ensure_ascii=False))}</pre>"
