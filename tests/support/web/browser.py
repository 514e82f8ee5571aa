"""A real Chromium, what it asked for, and what axe says of a page."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support.gateway import ROOT

CHROMIUM = "/usr/bin/chromium"
AXE = ROOT / "tests" / "data" / "axe.min.js.gz"  # axe-core of web/package-lock.json, as it is

WITHIN_MS = 15_000
"""What a page may take to do what it is asked, and to show what is expected, on a machine that does much else."""

_QUESTION = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations
    .filter(one => ["serious", "critical"].includes(one.impact))
    .map(one => one.id + ": " + one.nodes.map(node => node.target.join(" ") + " " + node.failureSummary).join("; "))"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; of a module alone, for while it is open no other test can run an event loop."""
    expect.set_options(timeout=WITHIN_MS)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()


@contextmanager
def opened(browser: Browser, **context: Any) -> Iterator[Page]:  # noqa: ANN401 - what playwright takes
    """Yield a page that has to stay free of errors and refusals, and has to ask no other host than its first."""
    used = browser.new_context(viewport={"width": 1240, "height": 900}, **({"locale": "en-US"} | context))
    used.set_default_timeout(WITHIN_MS)
    page = used.new_page()
    faults: list[str] = []
    hosts: set[str] = set()
    page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("dialog", lambda shown: faults.append(f"dialog: {shown.message}"))
    page.on("request", lambda asked: hosts.add(urlsplit(asked.url).netloc))
    try:
        yield page
        assert not faults, faults
        assert len(hosts) <= 1, hosts
    finally:
        used.close()


def faults_for_people(page: Page) -> list[str]:
    """Return the serious and critical faults that axe finds."""
    page.evaluate(gzip.decompress(AXE.read_bytes()).decode("utf-8"))
    found: list[str] = page.evaluate(_QUESTION)
    return found


def tab_to(page: Page, text: str, most: int = 60) -> None:
    """Press Tab until what has the focus says ``text``."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if text in page.evaluate("document.activeElement.innerText || document.activeElement.value || ''"):
            return
    raise AssertionError(f"{most} times Tab, and nothing says {text!r}")
