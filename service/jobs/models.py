"""The versions of the model, managed by commands: in the folder of the log, or through a running gateway."""

from __future__ import annotations

import asyncio
import getpass
import time
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from rich.table import Table

from service.api.models.servicer import MODELS, ManagedModel, ModelDesk, answer
from service.client.access import OPEN, Access
from service.console import wide_console
from service.detect.traffic import Traffic
from service.errors import CommandError, InvalidRequest, SettingsError
from service.gateway.flows import open_flow_register
from service.gateway.following import open_register
from service.jobs.progress import shown_progress
from service.lifecycle.operations import Operations
from service.model.manifest import FLOW_NAME, MODEL_NAME
from service.pb.epcsentinel.v1 import models_pb2 as pb
from service.security.auth import EVERY_ROLE, named, set_caller
from service.settings import Settings

_TIMEOUT_S = 120.0
_LOOK_S = 0.5
_READS = {"ListModels", "GetModel", "GetOperation"}


@dataclass(frozen=True, slots=True)
class Managed:
    """The versions that a command is about: those of the settings' folders, or of the gateway ``target``."""

    settings: Settings
    target: str | None = None  # HOST:PORT
    access: Access = OPEN

    def ask(self, method: str, request: Message) -> Message:
        """Return the answer of a method of ModelService.

        Raises:
            CommandError: the gateway cannot be reached, or refused.
            SentinelError: it cannot be done.
        """
        try:
            return self._by_gateway(method, request) if self.target else asyncio.run(self._here(method, request))
        except InvalidRequest as error:
            raise SettingsError("; ".join(f"{field} {text}" for field, text in error.violations)) from None

    async def _here(self, method: str, request: Message) -> Message:
        register, flow = open_register(self.settings), open_flow_register(self.settings)
        if register is None or flow is None:
            raise SettingsError("--lifecycle FOLDER of the log of promotions, or --target HOST:PORT, is missing")
        set_caller(named("user", getpass.getuser(), EVERY_ROLE))
        operations = Operations(register.log.folder / "operations")
        return await answer(ModelDesk(ManagedModel(register), ManagedModel(flow), operations), method, request)

    def _by_gateway(self, method: str, request: Message) -> Message:
        model = getattr(request, "model", "")
        if model in {"", MODEL_NAME}:
            return self._called(method, request)
        listed = self._called("ListModels", pb.ModelServiceListModelsRequest(model=model))
        if problem := unknown_to(listed, model, moves=method not in _READS):  # type: ignore[arg-type]
            raise CommandError(f"{self.target}: {problem}")
        return listed if method == "ListModels" else self._called(method, request)

    def _called(self, method: str, request: Message) -> Message:
        answers = getattr(pb, MODELS.methods_by_name[method].output_type.name)
        with self.access.channel(self.target or "") as channel:
            call: Any = channel.unary_unary(
                f"/{MODELS.full_name}/{method}",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=answers.FromString,
            )
            try:
                found: Message = call(request, timeout=_TIMEOUT_S, metadata=self.access.metadata())
            except grpc.RpcError as error:
                raise CommandError(f"{self.target}: {error.details() or error.code().name}") from None
        return found

    def follow(self, begun: pb.ModelOperation) -> pb.ModelOperation:
        """Show how far an operation of the gateway is, and return it when it has ended."""
        with shown_progress() as progress:
            while begun.state == pb.OPERATION_STATE_RUNNING:
                progress(begun.message[:60] or begun.kind, begun.progress)
                time.sleep(_LOOK_S)
                found = self.ask("GetOperation", pb.ModelServiceGetOperationRequest(operation_id=begun.operation_id))
                begun = found.operation  # type: ignore[attr-defined]
        return begun


def unknown_to(listed: pb.ModelServiceListModelsResponse, model: str, *, moves: bool) -> str:
    """Return why a gateway that lists this may not know the model, "" if it does; ``moves``: it is to move a version.

    Releases that know but one model pass over the name in a request, and would move the version of that one.
    """
    if any(one.model != model for one in listed.models):
        return f"this gateway knows no model {model}: update it first"
    if moves and not listed.models:
        return f"this gateway has no version of {model}; if it knows no such model, update it first"
    return ""


def check(settings: Settings, version: int, model: str = MODEL_NAME) -> str:
    """Return what can be said of a version of a model that can be used.

    Raises:
        SentinelError: it cannot; says why.
    """
    log = settings.lifecycle or settings.repository / ".none"  # without one no version was ever moved
    opened = open_flow_register if model == FLOW_NAME else open_register
    register = opened(settings.model_copy(update={"lifecycle": log}))
    assert register is not None  # noqa: S101 - a folder is named
    title = register.check(version)
    signed = f"signed by a key of {settings.trust}" if settings.trust else "signatures not asked for"
    if model != FLOW_NAME:
        return f"{title}: whole, of this release's features, answers its golden probe; {signed}"
    reason = register.gate(version, register.standing().champion)
    return f"{title}: whole, forecasts; {signed}; " + (f"no champion: {reason}" if reason else "passes the gate")


def share(managed: Managed, shares: str, why: str) -> str:
    """Set the shares of the traffic in the log, and return what they are in words.

    Raises:
        SettingsError: they cannot be, or there is no log.
        NoSuchModel: a version that is named is not there.
    """
    register = open_register(managed.settings)
    if register is None:
        raise SettingsError("--lifecycle FOLDER of the log of promotions is missing")
    try:
        traffic = Traffic.parse(shares)
    except ValueError as error:
        raise SettingsError(f"the traffic {shares!r} {error}") from None
    for version in traffic.versions:
        register.check(version)
    text = ",".join(f"{one.name}={one.percent:g}" for one in traffic.shares)
    register.share(text, who=f"user:{getpass.getuser()}", why=why)
    return text


def write_list(found: pb.ModelServiceListModelsResponse) -> None:
    """Write all versions as a table."""
    table = Table(
        "model", "version", "state", "trained", "SVMs", "loaded", "manifest", "problem", box=None, pad_edge=False
    )
    for one in found.models:
        table.add_row(
            one.model,
            str(one.version),
            _state(one.state),
            one.created_at[:16].replace("T", " "),
            "yes" if one.has_svm else "no",
            "yes" if one.loaded else "",
            one.manifest_sha256[:12],
            one.problem,
        )
    console = wide_console()
    console.print(table)
    if found.standing.traffic:
        console.print(f"traffic: {found.standing.traffic}", highlight=False)


def write_one(one: pb.ModelVersion) -> None:
    """Write a version with what was done with it, and its metrics."""
    console = wide_console()
    console.print(f"{one.model}/{one.version}: {_state(one.state)}, trained {one.created_at}", highlight=False)
    console.print(f"manifest {one.manifest_sha256}", highlight=False)
    if one.problem:
        console.print(f"problem: {one.problem}", highlight=False)
    done = Table("entry", "at", "who", "what", "why", box=None, pad_edge=False)
    for entry in one.promotions:
        done.add_row(str(entry.number), entry.at[:19].replace("T", " "), entry.who, entry.action, entry.why)
    if one.promotions:
        console.print(done)
    for name, part in (("metrics", one.metrics), ("lineage", one.lineage)):
        flat = Table(name, "value", box=None, pad_edge=False)
        for key, value in _flat(MessageToDict(part)):
            flat.add_row(key, value)
        console.print(flat)


def write_standing(standing: pb.ModelStanding) -> None:
    """Write what is in use in one line."""
    parts = [f"champion {standing.champion}"]
    parts += [f"{name} {version}" for name, version in (
        ("challenger", standing.challenger), ("previous", standing.previous)) if version]  # fmt: skip
    wide_console().print(f"{', '.join(parts)} (entry {standing.number} of the log)", highlight=False)


def _state(state: pb.ModelState.ValueType) -> str:
    return pb.ModelState.Name(state).removeprefix("MODEL_STATE_").lower().replace("none", "-")


def _flat(content: dict[str, object], before: str = "") -> list[tuple[str, str]]:
    """Return the numbers and texts of nested content by their paths, in order; lists by how long they are.

    A message has its maps in whatever order: 7 days stand before 14 here, whoever sent them.
    """
    found: list[tuple[str, str]] = []
    for key in sorted(content, key=lambda name: (int(name) if name.isdecimal() else 0, name)):
        value = content[key]
        if isinstance(value, dict):
            found += _flat(value, f"{before}{key}.")
        elif isinstance(value, list):
            found.append((f"{before}{key}", f"{len(value)} values"))
        else:
            found.append((f"{before}{key}", f"{value:.6g}" if isinstance(value, float) else str(value)))
    return found
