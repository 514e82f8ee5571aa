"""The register: versions of the model repository with their states, checked before they are moved, one at a time.

The signed manifest in the repository stays the truth about a version; the log says which one is in use. All methods
wait for disks and locks, and run in a thread where there is an event loop.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol

import structlog
from pydantic import JsonValue

from service.errors import ModelRepositoryError, ModelUnavailable, NoSuchModel, NotInThisState
from service.lifecycle.promotion_log import PromotionLog
from service.lifecycle.states import Action, Entry, ModelState, Standing
from service.model.backend import probe
from service.model.manifest import MANIFEST_FILE, MODEL_NAME, SVM_NAME, digest_of
from service.model.onnx_backend import OnnxBackend
from service.model.repository import Model, load, load_svm, read_version, retire, retired, versions
from service.model.signing import Trust

log = structlog.get_logger("epc_sentinel.register")


class Mirror(Protocol):
    """Somebody else's registry that shows the states, and where they may be changed."""

    def publish(self, standing: Standing, manifests: dict[int, str]) -> None:
        """Show the states; ``manifests`` are the SHA-256 of the manifests by version.

        Raises:
            ModelUnavailable: it cannot be reached.
        """
        ...

    def moved(self, standing: Standing) -> list[tuple[Action, int, str]] | None:
        """Return (action, version, who) of what was changed there since ``standing`` was published.

        None: it was not published, or shows what cannot be, and is to be published again. Raises as `publish`.
        """
        ...


class Described(Protocol):
    """What the manifests of all models say."""

    @property
    def created_at(self) -> str:
        """When it was trained, ISO 8601, UTC."""
        ...

    @property
    def metrics(self) -> Mapping[str, JsonValue]:
        """What it reached on data that it had not seen."""
        ...

    @property
    def lineage(self) -> Mapping[str, JsonValue]:
        """What it was trained on, and how."""
        ...


@dataclass(frozen=True, slots=True)
class Registered:
    """A version as the register knows it."""

    version: int
    state: ModelState
    manifest: Described | None  # None: it cannot be read
    manifest_sha256: str
    problem: str  # why it cannot be used, "" if nothing is wrong
    has_svm: bool
    entries: list[Entry] = field(default_factory=list)  # those that moved it


@dataclass(frozen=True, slots=True)
class Register:
    """Versions of one model in a repository and their log; as it stands here, of the model that judges."""

    names: ClassVar[tuple[str, ...]] = (MODEL_NAME, SVM_NAME)
    """Folders that have a version under its number, the model's own first."""

    repository: Path
    log: PromotionLog
    feature_spec_hash: str
    trust: Trust | None = None
    mirror: Mirror | None = None

    def standing(self) -> Standing:
        """Return what is in use now."""
        return self.log.standing()

    def listed(self) -> list[Registered]:
        """Return all versions, the newest first, each with what is wrong with it; deleted ones are left out."""
        entries, standing = self.log.entries(), self.log.standing()
        found = sorted(set(self.versions()) - standing.deleted, reverse=True)
        return [self._registered(version, standing, entries) for version in found]

    def one(self, version: int) -> Registered:
        """Return one version; raises NoSuchModel if there is none."""
        self._must_exist(version)
        return self._registered(version, self.log.standing(), self.log.entries())

    def versions(self) -> list[int]:
        """Return the numbers of the versions that are there, ascending."""
        return versions(self.repository, self.names[0])

    def check(self, version: int) -> str:
        """Return the name and number of a version that can be used: whole, signed, and right about its probe.

        Raises:
            NoSuchModel: there is none of that number.
            NotInThisState: it cannot be used; says why.
        """
        self._must_exist(version)
        if problem := self._other_model(version):
            raise NotInThisState(f"version {version} cannot be used: {problem}")
        try:
            self.try_out(version)
        except (ModelRepositoryError, ModelUnavailable) as error:
            raise NotInThisState(f"version {version} cannot be used: {self.public(error)}") from None
        return f"{self.names[0]}/{version}"

    def try_out(self, version: int) -> None:
        """Load a version as a gateway does, and ask it something; raises ModelRepositoryError or ModelUnavailable."""
        model = load(self.repository, version, feature_spec_hash=self.feature_spec_hash, trust=self.trust)
        svm = load_svm(self.repository, model, feature_spec_hash=self.feature_spec_hash, trust=self.trust)
        for one in (model, svm):
            if one is not None:
                asyncio.run(_probe(one))

    def read(self, version: int) -> tuple[Described, str]:
        """Return the manifest of a version, and why this release cannot use it; raises ModelRepositoryError."""
        manifest = read_version(self.repository, version, self.trust)
        fits = manifest.feature_spec_hash == self.feature_spec_hash
        return manifest, "" if fits else "it was trained on other features than this release computes"

    def gate(self, version: int, champion: int | None) -> str:  # noqa: ARG002 - of other models
        """Return why a version may not take the place of the champion; of the model that judges, people say that."""
        return ""

    def begin(self, version: int) -> Standing:
        """Make the version that is in use the champion if there is none yet; return what holds."""
        with self.log.turn() as standing:
            if standing.champion is None:
                self._append(standing, Action.PROMOTE, version, "gateway", "in use when the log began")
        return self.log.standing()

    def load(self, version: int, *, who: str, why: str) -> Standing:
        """Make a version the challenger.

        Raises:
            NoSuchModel, NotInThisState: as `check`, or its state forbids that.
        """
        return self._move(Action.LOAD, version, who, why)

    def promote(self, version: int, *, who: str, why: str, instead_of: int | None = None) -> Standing:
        """Make a version the champion, if ``instead_of`` is given only in the place of that one; raises as `load`."""
        return self._move(Action.PROMOTE, version, who, why, instead_of)

    def rollback(self, *, who: str, why: str, instead_of: int | None = None) -> Standing:
        """Make the previous version the champion again; raises as `load`."""
        standing = self.log.standing()
        if standing.previous is None:
            standing.check(Action.ROLLBACK, 0)
        return self._move(Action.ROLLBACK, standing.previous or 0, who, why, instead_of)

    def share(self, traffic: str, *, who: str, why: str, after: int | None = None) -> Standing:
        """Set the shares of the traffic, which the caller has checked; ``after``: only if that is the last entry.

        Raises:
            NotInThisState: another entry came in between.
        """
        with self.log.turn() as standing:
            if after not in (None, standing.number):
                raise NotInThisState(f"the log has moved on to entry {standing.number}: look again")
            return self._append(standing, Action.TRAFFIC, 0, who, why, traffic)

    def delete(self, version: int, *, who: str, why: str) -> Standing:
        """Remove a version that nothing names, for good: its number is never used again.

        Raises:
            NoSuchModel: there is none of that number.
            NotInThisState: a state or the log names it.
        """
        self._must_exist(version)
        with self.log.turn() as standing:
            standing.check(Action.DELETE, version)
            for name in self.names:
                retire(self.repository, name, version)
            after = self._append(standing, Action.DELETE, version, who, why)
            self.finish(after)
        return after

    def finish(self, standing: Standing) -> None:
        """Remove what is left of deleted versions, of a process that was killed before it had done so."""
        for version in standing.deleted:
            for name in self.names:
                if version in retired(self.repository, name):
                    shutil.rmtree(self.repository / name / str(version), ignore_errors=True)

    def follow(self) -> Standing:
        """Return what holds, after what was changed in the mirror was checked and taken over."""
        standing = self.log.standing()
        if self.mirror is None:
            return standing
        try:
            moves = self.mirror.moved(standing)
            for action, version, who in moves or ():
                standing = self._move(action, version, who, "moved in the registry")
            if moves is None:
                self._publish(standing)
        except (NotInThisState, NoSuchModel) as error:
            log.error("a version that was moved in the registry cannot be used: moved back", reason=str(error))
            self._publish(standing)
        except ModelUnavailable as error:
            log.warning("the registry cannot be asked", reason=str(error))
        return standing

    def _publish(self, standing: Standing) -> None:
        """Have the mirror show what holds; if it cannot be reached, `follow` does so later."""
        if self.mirror is None:
            return
        try:
            self.mirror.publish(standing, {kept: self.digest(kept) for kept in standing.kept})
        except ModelUnavailable as error:
            log.warning("the registry does not show the log yet", entry=standing.number, reason=str(error))

    def public(self, error: Exception) -> str:
        """Return the text of an error without the place of the repository, which is no caller's business."""
        return str(error).replace(str(self.repository), "the repository")

    def _move(self, action: Action, version: int, who: str, why: str, instead_of: int | None = None) -> Standing:
        self.log.standing().check(action, version)
        self.check(version)  # before the turn: it takes longer than others should wait
        with self.log.turn() as standing:
            if instead_of is not None and standing.champion != instead_of:
                raise NotInThisState(f"the champion is version {standing.champion}, not {instead_of}: look again")
            if action is Action.PROMOTE and (reason := self.gate(version, standing.champion)):
                raise NotInThisState(f"version {version} does not pass the gate: {reason}")
            return self._append(standing, action, version, who, why)

    def _append(  # noqa: PLR0913, PLR0917 - what an entry has
        self, standing: Standing, action: Action, version: int, who: str, why: str, traffic: str = ""
    ) -> Standing:
        standing.check(action, version)
        digest = "" if action in (Action.TRAFFIC, Action.DELETE) else self.digest(version)

        def make(number: int, at: str, before: str) -> Entry:
            return Entry(
                number=number,
                at=at,
                who=who,
                action=action,
                version=version,
                why=why,
                manifest_sha256=digest,
                traffic=traffic,
                before=before,
            )

        after = standing.after(self.log.append(make))
        self._publish(after)
        return after

    def digest(self, version: int) -> str:
        """Return the SHA-256 of a version's manifest, empty if there is none."""
        try:
            return digest_of(self.repository / self.names[0] / str(version) / MANIFEST_FILE)
        except OSError:
            return ""

    def _other_model(self, version: int) -> str:
        """Return what is wrong if the log names another model of this number."""
        named = {entry.manifest_sha256 for entry in self.log.entries() if entry.version == version} - {""}
        if not named or named == {self.digest(version)}:
            return ""
        return "its manifest is not the one that the log names: another model was put under its number"

    def _must_exist(self, version: int) -> None:
        if version not in self.versions() or version in self.log.standing().deleted:
            raise NoSuchModel(f"there is no version {version} of the model")

    def _registered(self, version: int, standing: Standing, entries: list[Entry]) -> Registered:
        manifest, problem = None, ""
        try:
            manifest, problem = self.read(version)
        except ModelRepositoryError as error:
            problem = self.public(error)
        moved_by = [entry for entry in entries if entry.version == version]
        digest = self.digest(version)
        problem = problem or self._other_model(version)
        has_svm = SVM_NAME in self.names and version in versions(self.repository, SVM_NAME)
        return Registered(version, standing.state(version), manifest, digest, problem, has_svm, moved_by)


async def _probe(model: Model) -> None:
    backend = OnnxBackend(model.read_onnx(), threads=1)
    try:
        await probe(backend, model.manifest)
    finally:
        await backend.close()
