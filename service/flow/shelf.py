"""The versions of the flow model in a repository: looked up at each question, so that a new one answers at once.

With a log of promotions its champion answers, and calls at work end with the version that they began with; before the
first promotion the newest version that passes the gate does, or where none does, the newest, with a warning. Without a
log the newest version that can be used answers.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog

from service.errors import InvalidRequest, ModelRepositoryError, ModelUnavailable, NoSuchModel, NotInThisState
from service.flow.forecast.forecaster import FlowForecaster
from service.flow.forecast.manifest import FLOW_MODEL
from service.flow.forecast.triton_network import TritonPlace
from service.flow.gate import shortfall
from service.model.manifest import MANIFEST_FILE
from service.model.repository import retire, versions
from service.model.signing import Trust

_KEPT = 4
_LINGER_S = 10.0
"""Seconds after which the network of a version that left is unloaded: calls that began with it end before."""
_MOST_VERSION_DIGITS = 9

log = structlog.get_logger("epc_sentinel.flows")


@dataclass(frozen=True, slots=True)
class Shelved:
    """One version: its forecaster, or why it cannot be used."""

    version: int
    forecaster: FlowForecaster | None
    problem: str = ""
    state: str = ""  # in the log of promotions, empty without one


class Promoted(Protocol):
    """A log of promotions of the flow model; asked at each question."""

    def in_use(self) -> Sequence[int]:
        """Return the versions that may answer, the champion first; none before the first promotion."""
        ...

    def state(self, version: int) -> str:
        """Return what a version is to the gateways."""
        ...

    def delete(self, version: int) -> None:
        """Remove a version for good; raises NotInThisState if the log names it, or it cannot be removed."""
        ...


class FlowShelf:
    """The flow models of one repository; may be asked from several threads at once."""

    def __init__(
        self,
        repository: Path,
        trust: Trust | None = None,
        promoted: Promoted | None = None,
        triton: TritonPlace | None = None,
    ) -> None:
        """Take what answers.

        Args:
            repository: the folder that holds ``epc_flow/``.
            trust: keys, one of which must have signed a version; None: none must.
            promoted: the log of promotions; None: there is none.
            triton: what runs the networks; None: this process does.
        """
        self._repository, self._trust, self._promoted, self._triton = repository, trust, promoted, triton
        self._loaded: dict[tuple[int, int], FlowForecaster] = {}  # by version and time of its manifest
        self._lock = threading.Lock()

    def listed(self) -> list[Shelved]:
        """Return all versions, the newest first."""
        return [self._shelved(version) for version in reversed(versions(self._repository, FLOW_MODEL))]

    def answering(self) -> tuple[FlowForecaster, list[str]]:
        """Return what answers, and why others do not: the champion, else the version before it; or the newest.

        Raises:
            NotInThisState: there is none.
            ModelRepositoryError: the log cannot be read, and never could.
        """
        problems: list[str] = []
        refused: FlowForecaster | None = None
        wanted = self._promoted.in_use() if self._promoted else ()
        gated = self._promoted is not None and not wanted
        for version in wanted or reversed(versions(self._repository, FLOW_MODEL)):
            found = self._shelved(version)
            if found.forecaster is None:
                problems.append(f"{FLOW_MODEL}/{version} cannot be used: {found.problem}")
            elif gated and (reason := shortfall(found.forecaster.manifest.metrics, "")):
                problems.append(f"{FLOW_MODEL}/{version} does not pass the gate: {reason}")
                refused = refused or found.forecaster
            else:
                return found.forecaster, problems
        if refused is not None:
            return refused, problems
        raise NotInThisState(
            problems[0]
            if problems
            else "model_id: there is no flow model yet: train one (flow train --repository, or Train)"
        )

    def loaded(self) -> list[int]:
        """Return the versions that are in memory."""
        with self._lock:
            return [version for version, _ in self._loaded]

    def one(self, model_id: str) -> FlowForecaster:
        """Return a version.

        Raises:
            InvalidRequest: the id is no number.
            NoSuchModel: there is none of it.
            NotInThisState: it cannot be used.
        """
        found = self._shelved(self._existing(model_id))
        if found.forecaster is None:
            raise NotInThisState(f"model_id: {FLOW_MODEL}/{found.version} cannot be used: {found.problem}")
        return found.forecaster

    def delete(self, model_id: str) -> None:
        """Remove a version for good; raises as `one`, and NotInThisState if it cannot be removed."""
        version = self._existing(model_id)
        if self._promoted is not None:
            self._promoted.delete(version)
        else:
            self._remove(version)
        with self._lock:
            left = [self._loaded.pop(key) for key in list(self._loaded) if key[0] == version]
        self._let_go(left)

    def _remove(self, version: int) -> None:
        try:
            retire(self._repository, FLOW_MODEL, version)
            shutil.rmtree(self._repository / FLOW_MODEL / str(version))
        except (OSError, ModelRepositoryError):
            raise NotInThisState("model_id: the gateway cannot write its repository of models") from None

    def _existing(self, model_id: str) -> int:
        if not (model_id.isascii() and model_id.isdecimal() and len(model_id) <= _MOST_VERSION_DIGITS):
            raise InvalidRequest([("model_id", f"{model_id[:40]!r} is no number of a model, such as 1")])
        known = versions(self._repository, FLOW_MODEL)
        if int(model_id) not in known:
            there = f"the repository has {', '.join(map(str, known))}" if known else "the repository has none"
            raise NoSuchModel(f"model_id: there is no flow model {int(model_id)}: {there}")
        return int(model_id)

    def _shelved(self, version: int) -> Shelved:
        state = self._promoted.state(version) if self._promoted else ""
        try:
            return Shelved(version, self._forecaster(version), state=state)
        except ModelRepositoryError as error:
            said = str(error).replace(str(self._repository), "the repository")
            return Shelved(version, None, said, state)

    def _forecaster(self, version: int) -> FlowForecaster:
        try:
            stamp = (self._repository / FLOW_MODEL / str(version) / MANIFEST_FILE).stat().st_mtime_ns
        except OSError as error:
            raise ModelRepositoryError(f"its {MANIFEST_FILE} cannot be read: {error.strerror}") from None
        with self._lock:
            if found := self._loaded.get((version, stamp)):
                return found
        made = FlowForecaster.load(self._repository, version, self._trust, self._triton)
        with self._lock:
            self._loaded[version, stamp] = made
            left = [self._loaded.pop(key) for key in list(self._loaded)[:-_KEPT]]
        self._let_go(left)
        return made

    def _let_go(self, left: Sequence[FlowForecaster]) -> None:
        """Have the networks of versions unloaded a little later, but for those that are loaded again by then."""

        def unload() -> None:
            for one in left:
                with self._lock:
                    is_back = any(one.title == held.title for held in self._loaded.values())
                try:
                    if not is_back:
                        one.retire()
                except ModelUnavailable as error:
                    log.warning("a network could not be unloaded", model=one.title, reason=str(error))

        if left and self._triton is not None:
            timer = threading.Timer(_LINGER_S, unload)
            timer.daemon = True
            timer.start()
