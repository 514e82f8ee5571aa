"""The real Prometheus server on a free loopback port, scraping every second. Works without pytest.

It is Debian's package ``prometheus``; tests that need it say so.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import yaml

from tests.support.processes import end, free_ports

BINARY = shutil.which("prometheus")
MISSING = "needs the Prometheus server: apt-get install prometheus"
START_S = 30.0


class Prometheus:
    """Scrapes ``targets``; a context manager that leaves no process behind."""

    def __init__(
        self,
        targets: Mapping[str, Mapping[str, str]],
        rules: Path | None = None,
        tls_config: Mapping[str, str] | None = None,
    ) -> None:
        """Scrape.

        Args:
            targets: HOST:PORT of metrics with the labels of their series.
            rules: a file of alerts.
            tls_config: of the scrapes, in Prometheus' words; None: plain HTTP.
        """
        if BINARY is None:
            raise RuntimeError(MISSING)
        self._folder = Path(tempfile.mkdtemp(prefix="prometheus-"))
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        self._targets = len(targets)
        scraped = [{"targets": [target], "labels": dict(labels)} for target, labels in targets.items()]
        scrape: dict[str, object] = {"job_name": "gateways", "static_configs": scraped}
        if tls_config is not None:
            scrape |= {"scheme": "https", "tls_config": dict(tls_config)}
        config = self._folder / "prometheus.yml"
        files = [str(rules)] if rules else []
        content = {"global": {"scrape_interval": "1s"}, "scrape_configs": [scrape], "rule_files": files}
        config.write_text(yaml.safe_dump(content))
        with (self._folder / "prometheus.log").open("wb") as log:
            self._process = subprocess.Popen(
                [BINARY, f"--config.file={config}", f"--storage.tsdb.path={self._folder / 'data'}",
                 f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
                 "--enable-feature=exemplar-storage"],
                stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        try:
            self._wait_ready()
        except BaseException:
            self.stop()
            raise

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the vector of an expression, as it is now."""
        url = f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            rows: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return rows

    def exemplars(self, expression: str) -> list[dict[str, Any]]:
        """Return the exemplars of the last minute, each with its labels, of all series of an expression."""
        asked = {"query": expression, "start": time.time() - 60, "end": time.time() + 1}
        url = f"{self.url}/api/v1/query_exemplars?{urllib.parse.urlencode(asked)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return [one for series in json.load(answer)["data"] for one in series["exemplars"]]

    def stop(self) -> None:
        """End it, and its data."""
        end(self._process)
        shutil.rmtree(self._folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _wait_ready(self) -> None:
        """Wait for the first scrape of every target, some five seconds."""
        deadline = time.monotonic() + START_S
        while True:
            try:
                if len(self.query("up")) == self._targets:
                    return
            except OSError:
                pass
            if self._process.poll() is not None or time.monotonic() > deadline:
                log = (self._folder / "prometheus.log").read_text()
                raise RuntimeError(f"Prometheus is not ready; its log:\n{log[-3000:]}") from None
            time.sleep(0.05)
