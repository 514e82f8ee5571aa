#!/usr/bin/env python3
"""Weights, analysis, promotion and rollback of a canary where Argo Rollouts does not do it. Needs Python and PyYAML.

It writes the weights into the file that the proxy works by: routes.yaml of components/envoy, or the GRPCRoute of
components/canary-gateway. --apply is run after each change ("kubectl apply -k overlay"). The questions that it asks
Prometheus are those of components/canary-argo/analysis.yaml.

    canary.py weight 10 --file routes.yaml           give the canary 10 % of the calls
    canary.py analyse --prometheus URL                 ask once; exit code 1 if the canary is worse
    canary.py rollout --file routes.yaml --prometheus URL
                                                       10, 25, 50, 100 %; back to 0 as soon as it is worse
    canary.py rollback --file routes.yaml            the same as weight 0
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import yaml

TEMPLATE = Path(__file__).parent / "components" / "canary-argo" / "analysis.yaml"
WEIGHT = re.compile(r"weight: \d+ # (stable|canary)$", re.MULTILINE)
CONDITION = re.compile(r"result\[0\] (<=|>=) ([0-9.]+)")
SECONDS = {"s": 1, "m": 60, "h": 3600}


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
    except OSError as error:
        print(f"no answer from {prometheus}: {error}", file=sys.stderr)
        return float("nan")
    return float(result[0]["value"][1]) if result else float("nan")


def analyse(prometheus: str, metrics: list[Metric]) -> dict[str, bool]:
    """Ask each metric and print what it says; return whether the canary passes, by name."""
    passes = {}
    for metric in metrics:
        value = ask(prometheus, metric.query)
        passes[metric.name] = metric.good(value)
        sign = "<=" if metric.at_most else ">="
        print(
            f"{'ok ' if passes[metric.name] else 'BAD'} {metric.name:15} {value:10.4f}, wanted {sign} {metric.limit:g}"
        )
    sys.stdout.flush()
    return passes


def set_weight(path: Path, percent: int, apply: str | None) -> None:
    """Write the weights, at once, and run ``apply``."""
    old = path.read_text()
    if len(WEIGHT.findall(old)) != 2:
        sys.exit(f"error: {path} needs a line 'weight: N # stable' and a line 'weight: N # canary'")

    def line(found: re.Match[str]) -> str:
        return f"weight: {percent if found[1] == 'canary' else 100 - percent} # {found[1]}"

    new = path.with_name(f".{path.name}.new")
    new.write_text(WEIGHT.sub(line, old))
    new.rename(path)
    print(f"canary: {percent} %", flush=True)
    if apply:
        subprocess.run(apply, shell=True, check=True)  # noqa: S602 - the operator's own command


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
                print(f"rollback: {', '.join(bad)}", flush=True)
                set_weight(options.file, 0, options.apply)
                return 1
    print("promoted: make the canary's release the stable one, then set the weight to 0")
    return 0


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
    parser.add_argument("--steps", type=lambda text: [int(part) for part in text.split(",")], default=[10, 25, 50, 100])
    parser.add_argument("--step-s", type=float, default=300, help="seconds of each step (default 300)")
    parser.add_argument("--interval-s", type=float, default=15, help="seconds between questions (default 15)")
    options = parser.parse_args()
    percent = 0 if options.command == "rollback" else options.percent
    if options.command == "weight" and (percent is None or not 0 <= percent <= 100):
        parser.error("weight needs a percentage, 0 to 100")
    if options.command != "analyse" and options.file is None:
        parser.error("name the file with the weights: --file")
    if options.command in ("weight", "rollback"):
        set_weight(options.file, percent, options.apply)
        return 0
    arguments = dict(part.split("=", 1) for part in options.arg)
    if options.prometheus:
        arguments["prometheus"] = options.prometheus
    prometheus, metrics = read_metrics(options.template, arguments)
    if options.command == "analyse":
        return 0 if all(analyse(prometheus, metrics).values()) else 1
    return rollout(options, prometheus, metrics)


if __name__ == "__main__":
    sys.exit(main())
