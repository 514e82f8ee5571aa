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
from pathlib import Path

import numpy as np
import yaml

from tests.servers.envoy import Envoy
from tests.servers.prometheus import BINARY, Prometheus
from tests.servers.triton.fixture import TritonServer
from tests.servers.valkey import Valkey
from tests.support.client import Client
from tests.support.gateway import ROOT, Gateway
from tests.support.processes import end, free_ports
from tests.support.versions import add_version
from tests.tools.story import NEW, OLD, STEP_S, Story, show

BAD = {  # the faults of a canary, and what finds each
    "foreign features": "traffic",
    "no model server": "fallback-rate",
    "errors": "error-rate",
    "slow": "latency-ratio",
    "shifted scores": "score-distance",
}


def main() -> int:
    """Tell the story; return the exit code. Whatever ends it, nothing that it started goes on."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end_by_signal)
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
        canary = stack.enter_context(Gateway(*good))
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
        canary = good_days(story, stack, canary, good)
        streams_survive(story, canary, folder)
        canary.stop()
        bad_days(story, repository, spare)
        servers_die(story, triton, valkey)
    show(story, time.monotonic() - began)
    return 1 if story.wrong else 0


def end_by_signal(number: int, _frame: object) -> None:
    """Leave by the way of all errors, which stops every part; a second signal does not cut that short."""
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, lambda *_: None)
    sys.exit(128 + number)


def alert_rules(path: Path) -> Path:
    """Write the project's alerts, over seconds instead of minutes, for Prometheus."""
    content = yaml.safe_load((ROOT / "k8s/components/monitoring/rules.yaml").read_text())["spec"]
    for group in content["groups"]:
        group["interval"] = "1s"
    text = re.sub(r"\[\d+[mh]\]", "[10s]", yaml.safe_dump(content, sort_keys=False, width=10_000))
    path.write_text(re.sub(r"\bfor: \w+", "for: 2s", text))
    return path


def good_days(story: Story, stack: contextlib.ExitStack, canary: Gateway, flags: Sequence[str]) -> Gateway:
    """A canary that is as it should be: share, promotion, rollback, death. Return the new one; ``stack`` stops it."""
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
        canary = stack.enter_context(Gateway(*flags))
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
        command = [*run, "replay", str(world), "--target", story.envoy.target, "--batch", "4", "--streams", "4"]
        replay = subprocess.Popen([*command, "--json"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        try:
            time.sleep(1.5)
            canary.terminate()
            out, _ = replay.communicate(timeout=120)
        finally:
            end(replay)
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


if __name__ == "__main__":
    sys.exit(main())
