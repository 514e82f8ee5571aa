#!/usr/bin/env python3
"""Weights, analysis, promotion and rollback of a canary where Argo Rollouts does not do it. Needs Python and PyYAML.

It writes the weights into the file that the proxy works by: routes.yaml of components/envoy, or the GRPCRoute of
components/canary-gateway. --apply is run after each change ("kubectl apply -k overlay"). The questions that it asks
Prometheus are those of components/canary-argo/analysis.yaml.

    canary.py weight 10 --file routes.yaml           give the canary 10 % of the calls
    canary.py analyse --prometheus URL                 ask once; exit code 1 if the canary is worse
    canary.py rollout --file routes.yaml --prometheus URL
                                                       10, 25, 50, 100 %; back to 0 as soon as it is worse
    canary.py rollback --file routes.yaml            weight 0

An error, Ctrl-C, SIGTERM or a closed terminal takes the canary back to 0, with retries; the last line says what stands.
Exit codes: 1 if it was taken back, 128 + the signal if that was why, 3 if it could not be taken back.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

TEMPLATE = Path(__file__).parent / "components" / "canary-argo" / "analysis.yaml"
WEIGHT_LINE = re.compile(r"weight: (\d+) # (stable|canary)$", re.MULTILINE)
CONDITION = re.compile(r"result\[0\] (<=|>=) ([0-9.]+)")
SECONDS = {"s": 1, "m": 60, "h": 3600}
APPLY_S = 120.0
"""Seconds of a run of --apply; one that hangs is ended."""

PAUSES_S = (1.0, 2.0, 4.0, 8.0)
"""Seconds between tries of a rollback."""

NOT_BACK = 3
"""The exit code where a canary could not be taken back."""


@dataclass(frozen=True)
class Metric:
    """A question of the analysis template."""

    name: str
    query: str
    at_most: bool  # what is good: at most the limit, else at least
    limit: float
    delay_s: float  # it is asked so long after a change of the weight
    failures: int  # that are let pass, one after the other

    def good(self, value: float) -> bool:
        """Return whether the canary passes; a value that is no number does not."""
        return value <= self.limit if self.at_most else value >= self.limit


def read_metrics(path: Path, arguments: dict[str, str]) -> tuple[str, list[Metric]]:
    """Return (address of Prometheus, metrics) of an AnalysisTemplate with ``arguments`` over its own."""
    spec = yaml.safe_load(path.read_text())["spec"]
    known = {argument["name"]: argument["value"] for argument in spec["args"]}
    if unknown := arguments.keys() - known.keys():
        sys.exit(f"error: {path.name} has no argument {', '.join(sorted(unknown))}; it has {', '.join(sorted(known))}")
    for name, value in (known | arguments).items():
        spec = json.loads(json.dumps(spec).replace("{{args.%s}}" % name, json.dumps(value)[1:-1]))  # noqa: UP031
    metrics = []
    for metric in spec["metrics"]:
        sign, limit = CONDITION.fullmatch(metric["successCondition"]).groups()
        delay = metric.get("initialDelay", "0s")
        metrics.append(
            Metric(
                metric["name"],
                metric["provider"]["prometheus"]["query"],
                sign == "<=",
                float(limit),
                float(delay[:-1]) * SECONDS[delay[-1]],
                metric.get("failureLimit", 0),
            )
        )
    return (known | arguments)["prometheus"], metrics


def ask(prometheus: str, query: str) -> float:
    """Return the value of a query: NaN if it has none, or if Prometheus does not answer."""
    url = f"{prometheus}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - the operator's own address
            result = json.load(answer)["data"]["result"]
            return float(result[0]["value"][1]) if result else float("nan")
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError) as error:
        print(f"no answer from {prometheus}: {error or type(error).__name__}", file=sys.stderr)
        return float("nan")


def analyse(prometheus: str, metrics: list[Metric]) -> dict[str, bool]:
    """Ask each metric and print what it says; return whether the canary passes, by name."""
    passes = {}
    for metric in metrics:
        value = ask(prometheus, metric.query)
        passes[metric.name] = metric.good(value)
        sign = "<=" if metric.at_most else ">="
        say(f"{'ok ' if passes[metric.name] else 'BAD'} {metric.name:15} {value:10.4f}, wanted {sign} {metric.limit:g}")
    return passes


def read_weight(path: Path) -> int:
    """Return the canary's weight in a file; end the program if it has none."""
    try:
        lines = WEIGHT_LINE.findall(path.read_text())
    except OSError as error:
        sys.exit(f"error: cannot read {path}: {error.strerror}")
    found = {track: int(percent) for percent, track in lines}
    if len(lines) != 2 or len(found) != 2:
        sys.exit(f"error: {path} needs a line 'weight: N # stable' and a line 'weight: N # canary'")
    return found["canary"]


def set_weight(path: Path, percent: int, apply: str | None) -> None:
    """Write the weights, at once, and run ``apply``; raises OSError or SubprocessError if that does not work."""

    def line(found: re.Match[str]) -> str:
        return f"weight: {percent if found[2] == 'canary' else 100 - percent} # {found[2]}"

    new = path.with_name(f".{path.name}.new")
    new.write_text(WEIGHT_LINE.sub(line, path.read_text()))
    new.rename(path)
    say(f"canary: {percent} %")
    if apply:
        run(apply)


def run(command: str) -> None:
    """Run the operator's command, in a session of its own: Ctrl-C is for this program, which knows what to do then."""
    process = subprocess.Popen(command, shell=True, start_new_session=True)  # noqa: S602 - the operator's own command
    try:
        code = process.wait(APPLY_S)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if code != 0:
        raise subprocess.CalledProcessError(code, command)


def say(text: str) -> None:
    """Print a line; that nobody reads it any more must not keep a canary where it is."""
    with contextlib.suppress(OSError):
        print(text, flush=True)


def take_back(path: Path, apply: str | None) -> bool:
    """Set the weight to 0, again and again if need be, whatever signals come; say what stands, return whether it is."""
    on_signals(lambda *_: None)
    for pause_s in (*PAUSES_S, None):
        try:
            set_weight(path, 0, apply)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            say(f"rollback failed: {error}")
            if pause_s is not None:
                time.sleep(pause_s)
        else:
            say("stands: the canary gets 0 %")
            return True
    try:
        written = f"{path} says {read_weight(path)} %"
    except (SystemExit, ValueError) as error:
        written = str(error)
    say(f"NOT ROLLED BACK: {written}, the proxy may work by an older weight. Set it to 0 by hand: {apply or path}")
    return False


def guarded(change: Callable[[], int], path: Path, apply: str | None) -> int:
    """Return the exit code of ``change``; whatever goes wrong in it, the canary is taken back."""
    read_weight(path)  # else there is nothing that could be taken back
    on_signals(interrupt)
    try:
        return change()
    except BaseException as error:
        say(f"rollback: {type(error).__name__}: {error}")
        code = 128 + error.number if isinstance(error, Interrupted) else 1
        return code if take_back(path, apply) else NOT_BACK


class Interrupted(BaseException):
    """A signal that asks this program to end."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(signal.Signals(number).name)


def interrupt(number: int, _frame: object) -> None:
    """Raise Interrupted, once: a second signal must not interrupt the rollback."""
    on_signals(lambda *_: None)
    raise Interrupted(number)


def on_signals(handler: Callable[..., None]) -> None:
    """Handle what operators, CI and closed terminals send."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, handler)


def rollout(options: argparse.Namespace, prometheus: str, metrics: list[Metric]) -> int:
    """Raise the weight step by step; back to 0 as soon as the canary fails. Return the exit code."""
    for percent in options.steps:
        set_weight(options.file, percent, options.apply)
        began = time.monotonic()
        failures = dict.fromkeys((metric.name for metric in metrics), 0)
        while (elapsed := time.monotonic() - began) < options.step_s:
            time.sleep(min(options.interval_s, max(0.0, options.step_s - elapsed)))
            due = [metric for metric in metrics if time.monotonic() - began >= metric.delay_s]
            for name, passed in analyse(prometheus, due).items():
                failures[name] = 0 if passed else failures[name] + 1
            if bad := [metric.name for metric in due if failures[metric.name] > metric.failures]:
                say(f"rollback: {', '.join(bad)}")
                return 1 if take_back(options.file, options.apply) else NOT_BACK
    say("promoted: make the canary's release the stable one, then set the weight to 0")
    return 0


def weight(options: argparse.Namespace) -> int:
    """Set the weight that was asked for."""
    set_weight(options.file, options.percent, options.apply)
    return 0


def percentages(text: str) -> list[int]:
    """Return the steps of a rollout: "10,25,50,100"."""
    steps = [int(part) for part in text.split(",")]
    if not all(0 <= step <= 100 for step in steps):
        raise ValueError
    return steps


def main() -> int:
    """Run a command and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["weight", "analyse", "rollout", "rollback"])
    parser.add_argument("percent", nargs="?", type=int, help="of the calls, 0 to 100; for the command weight")
    parser.add_argument("--file", type=Path, help="routes.yaml of Envoy, or the GRPCRoute")
    parser.add_argument("--apply", metavar="COMMAND", help="makes a changed file known, as 'kubectl apply -k overlay'")
    parser.add_argument("--prometheus", metavar="URL", help="default: that of the template")
    parser.add_argument("--template", type=Path, default=TEMPLATE, help="the AnalysisTemplate to ask")
    parser.add_argument("--arg", action="append", default=[], metavar="NAME=VALUE", help="an argument of the template")
    parser.add_argument("--steps", type=percentages, default=[10, 25, 50, 100])
    parser.add_argument("--step-s", type=float, default=300, help="seconds of each step (default 300)")
    parser.add_argument("--interval-s", type=float, default=15, help="seconds between questions (default 15)")
    options = parser.parse_args()
    if options.command == "weight" and (options.percent is None or not 0 <= options.percent <= 100):
        parser.error("weight needs a percentage, 0 to 100")
    if options.command != "analyse" and options.file is None:
        parser.error("name the file with the weights: --file")
    if options.command == "rollback":
        read_weight(options.file)
        return 0 if take_back(options.file, options.apply) else NOT_BACK
    if options.command == "weight":
        return guarded(lambda: weight(options), options.file, options.apply)
    arguments = dict(part.split("=", 1) for part in options.arg)
    if options.prometheus:
        arguments["prometheus"] = options.prometheus
    prometheus, metrics = read_metrics(options.template, arguments)
    if options.command == "analyse":
        return 0 if all(analyse(prometheus, metrics).values()) else 1
    return guarded(lambda: rollout(options, prometheus, metrics), options.file, options.apply)


if __name__ == "__main__":
    sys.exit(main())
