"""``models``: the versions of the models, which one is in use, and who decided that."""

# ruff: noqa: PLC0415 - parts are imported when the command is called, --help must be quick

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.commands.help import WholeHelp
from service.commands.options import AccessOptions, NetworkOption, OptionGroup, TimeZoneOption, setting, spread
from service.errors import CommandError, SettingsError
from service.model.manifest import FLOW_NAME, MODEL_NAME
from service.settings import load_settings

if TYPE_CHECKING:
    from service.jobs.models import Managed

models = typer.Typer(
    cls=WholeHelp, help="Versions of the models: which there are, which one is in use, and who decided that."
)
app = typer.Typer()
app.add_typer(models, name="models")


class ModelChoice(StrEnum):
    """The models that have versions."""

    EPC_LSTM = MODEL_NAME
    EPC_FLOW = FLOW_NAME


ModelOption = Annotated[ModelChoice, typer.Option(help="epc_lstm judges, epc_flow forecasts flow.")]
VersionArgument = Annotated[int, typer.Argument(min=1, help="Number of the version.")]
WhyOption = Annotated[str, typer.Option(help="Why: it stands in the log for good.")]
InsteadOfOption = Annotated[
    int | None, typer.Option(min=1, help="Only in the place of this champion, should another one be in use by now.")
]
TargetOption = Annotated[
    str | None, typer.Option(help="HOST:PORT of a gateway with --model-service; default: the folders themselves.")
]
RepositoryOption = Annotated[Path | None, typer.Option(help="Folder of versions (default: model_repository).")]
LifecycleOption = Annotated[str | None, setting("lifecycle")]
TrustOption = Annotated[str | None, setting("trust")]
RegistryOption = Annotated[str | None, setting("registry")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the answer of ModelService as JSON.")]


@dataclass(frozen=True, slots=True)
class WhereOptions(OptionGroup):
    """The versions that a command is about: of folders, or of a running gateway."""

    target: TargetOption = None
    repository: RepositoryOption = None
    lifecycle: LifecycleOption = None
    trust: TrustOption = None


@models.command("list")
@spread
def list_models(
    where: WhereOptions, access: AccessOptions, model: ModelOption = ModelChoice.EPC_LSTM, as_json: AsJson = False
) -> None:
    """List all versions of a model, the newest first, with their states and what is wrong with them."""
    from service.jobs import models as job
    from service.pb.epcsentinel.v1 import models_pb2 as pb

    found: Any = _managed(where, access).ask("ListModels", pb.ModelServiceListModelsRequest(model=model))
    _write_json(found) if as_json else job.write_list(found)


@models.command()
@spread
def show(
    version: VersionArgument,
    where: WhereOptions,
    access: AccessOptions,
    model: ModelOption = ModelChoice.EPC_LSTM,
    as_json: AsJson = False,
) -> None:
    """Show one version: metrics, lineage, and what was done with it."""
    from service.jobs import models as job
    from service.pb.epcsentinel.v1 import models_pb2 as pb

    managed = _managed(where, access)
    found: Any = managed.ask("GetModel", pb.ModelServiceGetModelRequest(version=version, model=model))
    _write_json(found) if as_json else job.write_one(found.model)


@models.command()
@spread
def load(
    version: VersionArgument,
    why: WhyOption,
    where: WhereOptions,
    access: AccessOptions,
    model: ModelOption = ModelChoice.EPC_LSTM,
) -> None:
    """Make a version the challenger: checked, and loaded beside the champion."""
    from service.pb.epcsentinel.v1 import models_pb2 as pb

    managed = _managed(where, access)
    _moved(managed, "LoadModel", pb.ModelServiceLoadModelRequest(version=version, why=why, model=model))


@models.command()
@spread
def promote(  # noqa: PLR0913, PLR0917 - a command has one parameter per flag
    version: VersionArgument,
    why: WhyOption,
    where: WhereOptions,
    access: AccessOptions,
    model: ModelOption = ModelChoice.EPC_LSTM,
    instead_of: InsteadOfOption = None,
) -> None:
    """Make a version the champion: gateways load it beside the one in use, and switch. One of flow passes a gate."""
    from service.pb.epcsentinel.v1 import models_pb2 as pb

    request = pb.ModelServicePromoteRequest(version=version, why=why, instead_of=instead_of or 0, model=model)
    _moved(_managed(where, access), "Promote", request)


@models.command()
@spread
def rollback(
    why: WhyOption,
    where: WhereOptions,
    access: AccessOptions,
    model: ModelOption = ModelChoice.EPC_LSTM,
    instead_of: InsteadOfOption = None,
) -> None:
    """Make the previous version the champion again; it is still loaded."""
    from service.pb.epcsentinel.v1 import models_pb2 as pb

    request = pb.ModelServiceRollbackRequest(why=why, instead_of=instead_of or 0, model=model)
    _moved(_managed(where, access), "Rollback", request)


@models.command()
@spread
def delete(
    version: VersionArgument,
    why: WhyOption,
    where: WhereOptions,
    access: AccessOptions,
    model: ModelOption = ModelChoice.EPC_LSTM,
) -> None:
    """Remove a version that no state and no entry of the log names; its number is never used again."""
    from service.pb.epcsentinel.v1 import models_pb2 as pb

    managed = _managed(where, access)
    _moved(managed, "DeleteModel", pb.ModelServiceDeleteModelRequest(version=version, why=why, model=model))


@models.command()
@spread
def validate(  # noqa: PLR0913 - a command has one parameter per flag
    version: VersionArgument,
    *,
    why: Annotated[str, typer.Option(help="Why, for the record of the operation.")] = "asked by command",
    target: TargetOption = None,
    repository: RepositoryOption = None,
    trust: TrustOption = None,
    lifecycle: LifecycleOption = None,
    model: ModelOption = ModelChoice.EPC_LSTM,
    access: AccessOptions,
) -> None:
    """Check files, signature and answers of a version, and its gate; a gateway does as its --validate-command says."""
    from service.jobs import models as job
    from service.pb.epcsentinel.v1 import models_pb2 as pb

    managed = _managed(WhereOptions(target, repository, lifecycle, trust), access)
    if target is None:
        typer.echo(job.check(managed.settings, version, model.value))
        return
    if model is not ModelChoice.EPC_LSTM:
        raise SettingsError("--target has a gateway check versions of epc_lstm; promote says the gate of others")
    begun: Any = managed.ask("Validate", pb.ModelServiceValidateRequest(version=version, why=why))
    ended = managed.follow(begun.operation)
    if ended.state != pb.OPERATION_STATE_SUCCEEDED:
        raise CommandError(f"version {version}: {ended.message}")
    typer.echo(ended.message)


@models.command()
def traffic(
    shares: Annotated[str, typer.Argument(help="Such as lstm@challenger=10,rules=20; the rest is the champion's.")],
    why: WhyOption,
    repository: RepositoryOption = None,
    lifecycle: LifecycleOption = None,
) -> None:
    """Give detectors and versions shares of the files, in percent; '' gives all to the champion."""
    from service.jobs import models as job

    typer.echo(job.share(_managed(WhereOptions(None, repository, lifecycle), AccessOptions()), shares, why))


@models.command()
def ab(  # noqa: PLR0913 - a command has one parameter per flag
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="DIR|FILE",
            help="Raw scan files or folders of them, judged by both; default: what --verdicts has of both.",
        ),
    ] = None,
    *,
    versions: Annotated[tuple[int, int], typer.Option(metavar="A B", help="Numbers of the versions; B less A.")],
    truth: Annotated[Path | None, typer.Option(help="Truth table of the files, CSV or Parquet.")] = None,
    verdicts: Annotated[str | None, setting("verdicts")] = None,
    repository: RepositoryOption = None,
    trust: TrustOption = None,
    time_zone: TimeZoneOption = None,
    network: NetworkOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare two versions on the same events: what they find and how right they are, with intervals."""
    from service.jobs.ab import report
    from service.jobs.ab.compare import compare

    backend = None if repository is None else f"onnx:{repository}"
    settings = load_settings(backend=backend, verdicts=verdicts, trust=trust)
    judged = compare(files or [], versions, settings, truth, time_zone, network)
    found = report.compare_findings(judged), report.compare_precision(judged)
    (report.write_json if as_json else report.write_tables)(versions, *found)


def _managed(where: WhereOptions, access: AccessOptions) -> Managed:
    from service.jobs.models import Managed

    if where.target and (where.repository or where.lifecycle):
        raise SettingsError("--target goes not with --repository or --lifecycle: a running gateway has its own")
    backend = None if where.repository is None else f"onnx:{where.repository}"
    settings = load_settings(backend=backend, lifecycle=where.lifecycle, trust=where.trust)
    return Managed(settings, where.target, access.access())


def _moved(managed: Managed, method: str, request: Any) -> None:  # noqa: ANN401 - a message of ModelService
    from service.jobs.models import write_standing

    answer: Any = managed.ask(method, request)
    write_standing(answer.standing)


def _write_json(message: Any) -> None:  # noqa: ANN401 - a message of ModelService
    from google.protobuf.json_format import MessageToJson

    typer.echo(MessageToJson(message))
