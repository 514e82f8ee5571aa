"""What a gateway leaves to be read: numbers at /metrics, entries of the audit log."""

from __future__ import annotations

import json
import math
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.support.gateway import Gateway

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scrape(gateway: Gateway) -> str:
    port = gateway.wait_log("listening")["metrics_port"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


def samples(text: str) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float:
    """Return the sum of the samples of a metric that have the labels; NaN if there is none."""
    values = [
        v for (n, have), v in found.items() if n == f"epc_sentinel_{name}" and labels.items() <= dict(have).items()
    ]
    return sum(values) if values else math.nan


def entries(path: Path) -> list[dict[str, Any]]:
    """Return the entries of a log, those of the files put aside first."""
    aside = sorted(path.parent.glob(f"{path.stem}-*{path.suffix}"))
    return [json.loads(line) for file in (*aside, path) for line in file.read_text().splitlines() if line]
