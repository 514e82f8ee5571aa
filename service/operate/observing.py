"""Reads what a round looks at. Accuracy is measured when somebody has said something, not every round."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from service.errors import ModelRepositoryError
from service.feedback.accuracy import KindAccuracy, accuracy
from service.feedback.baselines import baselines
from service.feedback.paired import differences
from service.feedback.pairs import judged_twice
from service.feedback.store import VerdictStore
from service.feedback.verdicts import EventLabel
from service.feedback.weighed import Weighed, warn_of, weighed
from service.lifecycle.operations import Operations
from service.lifecycle.register import Register
from service.lifecycle.states import Standing, standing_of
from service.model.manifest import MODEL_NAME, Manifest
from service.model.repository import read_version, versions
from service.operate.moving import since_us
from service.operate.seen import Beside, DriftOfGateway, Situation
from service.operate.settings import Handling, OperateSettings

_RESAMPLES, _TIMEOUT_S = 200, 10.0
_RULES: Final = "rules"
"""What the metrics of a manifest call them."""

log = structlog.get_logger("epc_sentinel.operate")


@dataclass(slots=True)
class Lookout:
    """Reads the log, the operations, the verdicts, the manifests, and the gateways' drift."""

    register: Register
    operations: Operations
    verdicts: VerdictStore | None
    settings: OperateSettings
    tls: ssl.SSLContext | None = None  # of the gateways' metrics
    error_rate: float = 0.0  # share of the verdicts that are wrong
    _state: str = ""
    _labels: list[EventLabel] = field(default_factory=list)
    _words: Weighed = field(default_factory=lambda: Weighed({}, ()))
    _waiting: int = 0
    _about: tuple[object, ...] = ()  # what `_compared` is of
    _compared: Beside | None = None
    _measured: dict[int, list[KindAccuracy]] = field(default_factory=dict)  # by files of the window

    def look(self, *, closely: bool) -> Situation:
        """Return what there is now. Args: ``closely``: measure over the shorter window, too.

        Raises:
            ModelRepositoryError: the log cannot be read.
            VerdictsUnavailable: the verdicts cannot.
        """
        entries = self.register.log.entries()
        standing = standing_of(entries)
        manifest = self._manifest(standing.champion)
        return Situation(
            at=datetime.now(UTC),
            standing=standing,
            entries=entries,
            operations=self.operations.listed(),
            versions=versions(self.register.repository),
            accuracy=self._accuracy(self.settings.batches),
            close=self._accuracy(self.settings.close_batches) if closely else [],
            promised=baselines([(f"{MODEL_NAME}/{standing.champion}", manifest)]) if manifest else {},
            rules=_rules_of(manifest) if manifest else {},
            drift=[one for address in self.settings.addresses for one in self._drift(address)],
            labels=self._labels,
            waiting=self._waiting,
            beside=self._beside(standing, since_us(entries)),
        )

    def _manifest(self, version: int | None) -> Manifest | None:
        if version is None:
            return None
        try:
            return read_version(self.register.repository, version, self.register.trust)
        except ModelRepositoryError as error:
            log.error("the manifest of the champion cannot be read", version=version, reason=str(error))
            return None

    def _accuracy(self, batches: int) -> list[KindAccuracy]:
        if self.verdicts is None:
            return []
        if (state := self.verdicts.state()) != self._state:
            self._state, self._labels, self._measured = state, self.verdicts.labels(), {}
            self._waiting = self.verdicts.waiting("", 0)[1]
            before, self._words = self._words.at_odds, weighed(self._labels, self.error_rate)
            warn_of(self._words.at_odds, before)
        if batches not in self._measured:
            self._measured[batches] = accuracy(self.verdicts, self._words, batches=batches, resamples=_RESAMPLES)
        return self._measured[batches]

    def _beside(self, standing: Standing, since: int) -> Beside | None:
        if self.verdicts is None or self.settings.traffic is Handling.OFF or standing.challenger is None:
            return None
        champion, challenger = (f"{MODEL_NAME}/{one}" for one in (standing.champion, standing.challenger))
        about = (self.verdicts.state(), champion, challenger, since)
        if about != self._about or self._compared is None:
            twice = judged_twice(self.verdicts, champion, challenger)
            self._compared = Beside(differences(twice.scores()), differences(twice.since(since).scores()))
            self._about = about
        return self._compared

    def _drift(self, address: str) -> list[DriftOfGateway]:
        """Return what a gateway says; nothing, and a warning, if it says nothing."""
        try:
            with urllib.request.urlopen(f"{address}/drift", timeout=_TIMEOUT_S, context=self.tls) as answer:  # noqa: S310
                return list(_drifts(json.load(answer)))
        except (OSError, urllib.error.URLError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("the drift of a gateway is not known", address=address, reason=str(error))
            return []


def _drifts(told: Mapping[str, Any]) -> Iterator[DriftOfGateway]:
    for version, modes in told.items():
        for mode, one in modes.items():
            counts = [f["psi"] for f in one["features"] if f["rejected"] or f["name"].startswith("score_")]
            yield DriftOfGateway(version, mode, bool(one["alarm"]), max(map(float, counts), default=0.0))


def _rules_of(manifest: Manifest) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], float] = {}
    for mode, judges in manifest.metrics.items():
        rules: Any = judges.get(_RULES, {}) if isinstance(judges, dict) else {}
        found |= {
            (mode, kind): float(one["ap"]) for kind, one in rules.items() if isinstance(one, dict) and "ap" in one
        }
    return found
