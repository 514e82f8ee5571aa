"""Versions are promoted one after the other while live callers ask, and what that does to them is measured."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from service.features.table import feature_spec_hash
from service.lifecycle.promotion_log import PromotionLog
from service.lifecycle.register import Register
from service.settings import load_settings
from tests.servers.triton.fixture import TritonServer
from tests.support.client import Client
from tests.support.gateway import ROOT, Gateway
from tests.support.versions import add_version

SLOWER, GROWTH, ROLLBACK_S = 1.5, 1.05, 5.0
"""What the 99th percentile and the memory may be in the last quarter of that in the second one, and a rollback take."""

_CALLS_PER_S, _THREADS = 100.0, 4
_WAIT_S = 30.0


@dataclass
class Swaps:
    """What was measured."""

    swaps: int
    switched_s: list[float] = field(default_factory=list)  # from a promotion to the first answer of its version
    rollback_s: float = 0.0  # the same of a rollback
    calls: int = 0
    lost: int = 0
    versions: int = 0  # that answered
    quiet_ms: tuple[float, float] = (0.0, 0.0)  # median, 99th percentile
    swapping_ms: tuple[float, float] = (0.0, 0.0)
    rss_mib: list[float] = field(default_factory=list)  # after each swap

    @property
    def slower(self) -> float:
        """The 99th percentile while versions are swapped, over that without."""
        return self.swapping_ms[1] / self.quiet_ms[1]

    @property
    def growth(self) -> float:
        """The memory of the last quarter over that of the second one."""
        quarter = max(1, len(self.rss_mib) // 4)
        return float(np.median(self.rss_mib[-quarter:]) / np.median(self.rss_mib[quarter : 2 * quarter]))

    @property
    def faults(self) -> list[str]:
        """What is not as it should be."""
        checks = {
            f"{self.lost} calls lost": self.lost > 0,
            f"the 99th percentile is {self.slower:.2f} times that of quiet times": self.slower > SLOWER,
            f"memory grew {self.growth:.2f} times": self.growth > GROWTH,
            f"a rollback took {self.rollback_s:.1f} s": self.rollback_s > ROLLBACK_S,
        }
        return [fault for fault, is_so in checks.items() if is_so]

    def table(self, name: str) -> str:
        """Return a row of the table with its head."""
        head = "| backend | swaps | calls | lost | p50, p99 quiet ms | swapping ms | p99 times | switch median, max s"
        rows = [
            f"{head} | rollback s | memory MiB, growth |",
            "|" + " --- |" * 10,
            f"| {name} | {self.swaps} | {self.calls} | {self.lost} | {self.quiet_ms[0]:.1f}, {self.quiet_ms[1]:.1f}"
            f" | {self.swapping_ms[0]:.1f}, {self.swapping_ms[1]:.1f} | {self.slower:.2f}"
            f" | {np.median(self.switched_s):.2f}, {max(self.switched_s):.2f} | {self.rollback_s:.2f}"
            f" | {self.rss_mib[-1]:.0f}, {self.growth:.3f} |",
        ]
        return "\n".join(rows)


def repository_of(versions: int, folder: Path) -> Path:
    """Return a new repository of so many versions of the bundled model, each with scores of its own."""
    bundled = ROOT / load_settings().repository
    for version in range(2, versions + 1):
        add_version(bundled, folder, version, logit_shift=0.01 * version)
    return folder


def swap_under_load(
    gateway: Gateway, register: Register, *, swaps: int, versions: int, block: int, quiet: bool = True
) -> Swaps:
    """Promote versions 1 to ``versions`` in turn, ``swaps`` times, ``block`` of them between two quiet times."""
    found = Swaps(swaps)
    spans: list[tuple[float, float]] = []
    with Client(gateway.target, _THREADS, _CALLS_PER_S) as client:
        time.sleep(1.0)
        began = time.monotonic()
        for number in range(swaps):
            start = time.monotonic()
            version = (number + 1) % versions + 1
            register.promote(version, who="tool", why=f"swap {number}")
            found.switched_s.append(_answered(client, version, start))
            found.rss_mib.append(_rss_mib(gateway.pid))
            spans.append((start, time.monotonic()))
            if quiet and (number + 1) % block == 0:
                time.sleep(sum(end - begin for begin, end in spans[-block:]))
        start = time.monotonic()
        after = register.rollback(who="tool", why="back")
        found.rollback_s = _answered(client, after.champion or 0, start)
        ended = time.monotonic()
    answers = [one for one in client.answers if began <= one.sent < ended]
    found.calls, found.lost = len(answers), len(client.lost())
    found.versions = len(client.versions())
    swapping = np.array([any(a <= one.sent < b for a, b in spans) for one in answers])
    took_ms = np.array([one.duration_s * 1e3 for one in answers])
    found.swapping_ms, found.quiet_ms = _percentiles(took_ms[swapping]), _percentiles(took_ms[~swapping])
    return found


def _percentiles(ms: np.ndarray) -> tuple[float, float]:
    median, high = np.percentile(ms, [50, 99]) if len(ms) else (0.0, 0.0)
    return float(median), float(high)


def _answered(client: Client, version: int, since: float) -> float:
    """Return how many seconds after ``since`` the first answer of ``version`` was there."""
    while time.monotonic() < since + _WAIT_S:
        for one in client.answers[-50:]:
            if one.sent >= since and one.version == f"epc_lstm/{version}":
                return one.sent + one.duration_s - since
        time.sleep(0.01)
    raise RuntimeError(f"version {version} did not answer within {_WAIT_S:.0f} s")


def _rss_mib(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 2**20


@contextlib.contextmanager
def on_triton(folder: Path, versions: int, *flags: str) -> Iterator[tuple[Gateway, Register, TritonServer]]:
    """The same with a real Triton that the gateway tells what to load, and that has no model of its own."""
    repository = repository_of(versions, folder / "repository")
    (folder / "none").mkdir()
    register = Register(repository, PromotionLog(folder / "lifecycle"), feature_spec_hash())
    register.begin(1)
    with TritonServer(folder / "none", extra_args=["--model-control-mode=explicit"]) as triton:
        where = ("--backend", f"triton://{triton.url}", "--triton-control", "explicit", "--triton-config", "cpu")
        repositories = ("--model-repository", str(repository), "--lifecycle", str(register.log.folder))
        with Gateway(*where, *repositories, *flags) as gateway:
            yield gateway, register, triton


@contextlib.contextmanager
def embedded(folder: Path, versions: int, *flags: str) -> Iterator[tuple[Gateway, Register]]:
    """Yield a gateway that runs the model itself, and the register that it follows."""
    repository = repository_of(versions, folder / "repository")
    register = Register(repository, PromotionLog(folder / "lifecycle"), feature_spec_hash())
    register.begin(1)
    with Gateway("--backend", f"onnx:{repository}", "--lifecycle", str(register.log.folder), *flags) as gateway:
        yield gateway, register
