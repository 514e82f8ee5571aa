"""The story of a canary with every real part: Triton, Valkey, two gateways, Envoy, Prometheus, and live clients.

``make e2e`` prints a row per chapter: calls, losses, who answered, and what was found. It fails if a call was lost that
must not be, or a bad canary was not found. About five minutes on two processors.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml
from rich.console import Console
from rich.table import Table

from tests.servers.envoy import Envoy, canary_py
from tests.servers.prometheus import BINARY, MISSING, Prometheus
from tests.servers.triton.fixture import TritonServer
from tests.servers.valkey import Valkey
from tests.support.client import Client
from tests.support.gateway import ROOT, Gateway
from tests.support.processes import free_ports
from tests.support.versions import add_version

OLD, NEW, RULES = "epc_lstm/1", "epc_lstm/2", "rule-based-fallback"
STEP_S, WINDOW = 10, "8s"
BAD = {  # the faults of a canary, and what finds each
    "foreign features": "traffic",
    "no model server": "fallback-rate",
    "errors": "error-rate",
    "slow": "latency-ratio",
    "shifted scores": "score-distance",
}


@dataclass
class Story:
    """The parts, and a row per chapter."""

    envoy: Envoy
    client: Client
    prometheus: Prometheus | None
    canary_flags: Sequence[str]  # the ports of whatever gateway is the canary
    rows: list[tuple[str, ...]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @contextlib.contextmanager
    def chapter(self, title: str) -> Iterator[list[str]]:
        """Count the calls of a chapter; what it finds is put into the list."""
        print(f"-- {title}", flush=True)
        found: list[str] = []
        began = time.monotonic()
        yield found
        found += self.alerts(time.monotonic() - began)
        calls = [answer for answer in self.client.answers if began <= answer.sent]
        lost = [answer for answer in calls if answer.error]
        self.expect(not lost, f"{title}: {len(lost)} calls lost, the first with {lost[0].error if lost else ''}")
        who = self.client.versions(since=began)
        share = {name: who[name] / max(1, len(calls)) for name in (OLD, NEW, RULES)}
        latency_ms = np.percentile([answer.duration_s for answer in calls] or [0], [50, 99]) * 1e3
        others = sum(who.values()) - sum(who[name] for name in share)
        self.rows.append(
            (title, str(len(calls)), str(len(lost)), *(f"{share[name]:.1%}" if share[name] else "" for name in share),
             f"{others / max(1, len(calls)):.1%}" if others else "",
             *(f"{ms:.0f}" for ms in latency_ms), "; ".join(found))
        )  # fmt: skip

    def alerts(self, last_s: float) -> list[str]:
        """Return the alerts that fired in the last seconds."""
        if self.prometheus is None:
            return []
        rows = self.prometheus.query(f'count_over_time(ALERTS{{alertstate="firing"}}[{last_s:.0f}s])')
        return [f"alert {name}" for name in sorted({row["metric"]["alertname"] for row in rows})]

    def expect(self, holds: bool, what: str) -> None:
        """Remember what went wrong."""
        if not holds:
            print(f"   WRONG: {what}", flush=True)
            self.wrong.append(what)

    def rollout(self, found: list[str], steps: str, cause: str | None) -> None:
        """Let the script roll the canary out; ``cause`` is what must take it back, None for nothing."""
        if self.prometheus is None:
            found.append(f"not run: {MISSING}")
            return
        done = canary_py(
            "rollout", "--file", str(self.envoy.routes), "--prometheus", self.prometheus.url, "--arg",
            f"window={WINDOW}", "--steps", steps, "--step-s", str(STEP_S), "--interval-s", "2", check=False,
        )  # fmt: skip
        verdict = [line for line in done.stdout.splitlines() if line.startswith(("rollback", "promoted"))]
        found.append(verdict[-1].partition(":")[0] if cause is None and verdict else "".join(verdict[-1:]))
        causes = "".join(verdict[-1:]).removeprefix("rollback: ").split(", ")  # a slow one may fail calls as well
        good = done.returncode == 0 if cause is None else cause in causes
        bad = [line for line in done.stdout.splitlines() if line.startswith("BAD")]
        self.expect(good, f"the rollout ended with {verdict or done.stderr}, {bad}")
        time.sleep(1)


def main() -> int:
    """Tell the story; return the exit code."""
    with contextlib.ExitStack() as stack:
        began = time.monotonic()
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        repository = add_version(ROOT / "model_repository", folder / "repository")
        triton, spare = (stack.enter_context(TritonServer(repository)) for _ in range(2))
        valkey = stack.enter_context(Valkey())
        canary_port, canary_metrics = free_ports(2)
        canary_flags = ("--port", str(canary_port), "--metrics-port", str(canary_metrics), "--history", valkey.url)
        common = ("--backend", f"triton://{triton.url}", "--model-repository", str(repository))
        stable = stack.enter_context(
            Gateway(*common, "--model-version", "1", "--metrics-port", "0", "--history", valkey.url)
        )
        good = (*common, "--model-version", "2", *canary_flags)
        canary = Gateway(*good)
        stack.callback(canary.stop)
        envoy = stack.enter_context(Envoy(stable.target, canary.target))
        envoy.wait_healthy("canary", 1)
        prometheus = None
        if BINARY is not None:
            targets = {f"127.0.0.1:{stable.wait_log('listening')['metrics_port']}": {"track": "stable"}}
            targets[f"127.0.0.1:{canary_metrics}"] = {"track": "canary"}
            prometheus = stack.enter_context(Prometheus(targets, alert_rules(folder / "alerts.yaml")))
        print(f"all parts are up after {time.monotonic() - began:.0f} s", flush=True)
        client = stack.enter_context(Client(envoy.target, threads=12, per_s=60))
        story = Story(envoy, client, prometheus, canary_flags)
        canary = good_days(story, canary, good)
        streams_survive(story, canary, folder)
        canary.stop()
        bad_days(story, repository, spare)
        servers_die(story, triton, valkey)
        canary = Gateway(*good)
    show(story, time.monotonic() - began)
    return 1 if story.wrong else 0


def alert_rules(path: Path) -> Path:
    """Write the project's alerts, over seconds instead of minutes, for Prometheus."""
    content = yaml.safe_load((ROOT / "k8s/components/monitoring/rules.yaml").read_text())["spec"]
    for group in content["groups"]:
        group["interval"] = "1s"
    text = re.sub(r"\[\d+m\]", "[10s]", yaml.safe_dump(content, sort_keys=False, width=10_000))
    path.write_text(re.sub(r"\bfor: \w+", "for: 2s", text))
    return path


def good_days(story: Story, canary: Gateway, flags: Sequence[str]) -> Gateway:
    """A canary that is as it should be: its share, promotion, rollback, and its death. Return the new canary."""
    with story.chapter("no canary"):
        time.sleep(STEP_S)
    with story.chapter("canary 10 %") as found:
        story.envoy.weigh(10)
        began = time.monotonic()
        time.sleep(2 * STEP_S)
        who = story.client.versions(since=began)
        count, share = sum(who.values()), who[NEW] / sum(who.values())
        bound = 4 * np.sqrt(0.1 * 0.9 / count)
        found.append(f"{share:.1%} of {count}, wanted 10 ± {100 * bound:.1f} %")
        story.expect(abs(share - 0.1) < bound, found[-1])
    with story.chapter("good canary, rollout 30, 50, 100 %") as found:
        story.rollout(found, "30,50,100", None)
    with story.chapter("rollback by hand"):
        story.envoy.weigh(0)
        time.sleep(3)
    with story.chapter("SIGKILL of the canary at 50 %"):
        story.envoy.weigh(50)
        time.sleep(3)
        os.kill(canary.pid, signal.SIGKILL)
        time.sleep(5)
    with contextlib.suppress(Exception):
        canary.stop()
    with story.chapter("the canary comes back"):
        canary = Gateway(*flags)
        story.envoy.wait_healthy("canary", 1)
        began = time.monotonic() + 1
        time.sleep(4)
        story.expect(story.client.versions(since=began)[NEW] > 0, "the canary that came back gets no calls")
    return canary


def streams_survive(story: Story, canary: Gateway, folder: Path) -> None:
    """A replay over both gateways, while one of them stops and ends its streams."""
    world = folder / "world"
    run = [sys.executable, "-m", "service"]
    subprocess.run([*run, "simulate", "--out", str(world), "--epcs", "500", "--seed", "3"], cwd=ROOT, check=True, capture_output=True)  # fmt: skip  # noqa: E501
    with story.chapter("streams, canary stops with SIGTERM") as found:
        command = [
            *run,
            "replay",
            str(world),
            "--target",
            story.envoy.target,
            "--batch",
            "4",
            "--streams",
            "4",
            "--json",
        ]
        replay = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        time.sleep(1.5)
        canary.terminate()
        out, _ = replay.communicate(timeout=120)
        summary = json.loads(out)
        found.append(f"{summary['events']} events, {summary['lost']} lost, {summary['retries']} streams reopened")
        story.expect(replay.returncode == 0 and summary["lost"] == 0, f"streams: {found[-1]}")
    story.envoy.weigh(0)


def bad_days(story: Story, repository: Path, spare: TritonServer) -> None:
    """Canaries with a fault each: none costs a call, each is found and taken back."""
    for fault, cause in BAD.items():
        with story.chapter(f"bad canary: {fault}") as found, contextlib.ExitStack() as stack:
            gateway = start_bad(fault, repository, spare, story.canary_flags)
            if gateway is None:
                found.append("refuses to start")
            else:
                stack.enter_context(gateway)
                story.envoy.wait_healthy("canary", 1)
            if fault == "errors":
                spare.kill()
            if fault == "slow" and gateway:
                stack.enter_context(slowed(gateway.pid))
            story.rollout(found, "30,50", cause)
            story.envoy.weigh(0)
            time.sleep(1)


def start_bad(fault: str, repository: Path, spare: TritonServer, flags: Sequence[str]) -> Gateway | None:
    """Start a canary with a fault; None if it does not start."""
    version = ("--model-repository", str(repository), "--model-version", "2", *flags)
    if fault == "foreign features":
        foreign = add_version(ROOT / "model_repository", repository.parent / "foreign", spec_hash="0" * 64)
        try:
            return Gateway("--backend", f"onnx:{foreign}", "--model-version", "2", *flags)
        except RuntimeError:
            return None
    if fault == "no model server":
        return Gateway("--backend", "triton://127.0.0.1:9", *version)
    if fault == "errors":  # its own Triton dies, the rules may not answer, and the next probe is far away
        return Gateway("--backend", f"triton://{spare.url}", *version, "--no-fallback", "--probe-interval-s", "3600")
    if fault == "shifted scores":
        shifted = add_version(ROOT / "model_repository", repository.parent / "shifted", version=3, logit_shift=2.0)
        return Gateway("--backend", f"onnx:{shifted}", "--model-version", "3", *flags)
    return Gateway("--backend", f"onnx:{repository}", *version)


@contextlib.contextmanager
def slowed(pid: int) -> Iterator[None]:
    """Let a process run a tenth of the time, as on a node without processors to spare."""
    program = (
        f"import os,signal,time\nwhile True:\n os.kill({pid},signal.SIGSTOP); time.sleep(.18)"
        f"\n os.kill({pid},signal.SIGCONT); time.sleep(.02)"
    )
    brake = subprocess.Popen([sys.executable, "-c", program])
    try:
        yield
    finally:
        brake.kill()
        brake.wait()
        os.kill(pid, signal.SIGCONT)


def servers_die(story: Story, triton: TritonServer, valkey: Valkey) -> None:
    """The servers behind the gateways die: answers go on, coarser or without memory."""
    with story.chapter("SIGKILL of Valkey"):
        valkey.kill()
        time.sleep(8)
        valkey.start()
    with story.chapter("SIGKILL of Triton, and its return") as found:
        triton.kill()
        time.sleep(8)
        down = time.monotonic()
        triton.start()
        began = time.monotonic()
        while story.client.versions(since=began)[OLD] == 0 and time.monotonic() < began + 30:
            time.sleep(0.1)
        found.append(f"rules answered; the model {time.monotonic() - down:.0f} s after the restart began")
        story.expect(story.client.versions(since=began)[OLD] > 0, "Triton came back, the model did not")


def show(story: Story, duration_s: float) -> None:
    """Print the table."""
    table = Table(title=f"The canary, end to end ({duration_s:.0f} s)")
    for title in ("chapter", "calls", "lost", "stable", "canary", "rules", "other", "p50 ms", "p99 ms", "found"):
        table.add_column(title, justify="left" if title in ("chapter", "found") else "right")
    for row in story.rows:
        table.add_row(*row)
    Console(width=max(150, Console().width)).print(table)
    calls = len(story.client.answers)
    print(f"{calls} calls, {len(story.client.lost())} lost; {len(story.wrong)} things went wrong")
    for line in story.wrong:
        print(f"WRONG: {line}")


if __name__ == "__main__":
    sys.exit(main())
