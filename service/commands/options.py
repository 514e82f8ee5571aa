"""What commands share: options of the same name and meaning, and the extras that they need."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from pydantic_settings import BaseSettings

from service.detect.names import DetectorName
from service.errors import CommandError, SettingsError
from service.settings import Settings

if TYPE_CHECKING:
    from service.client.access import Access

R = TypeVar("R")


class DetectorChoice(StrEnum):
    """The detectors that commands offer."""

    LSTM = DetectorName.LSTM
    RULES = DetectorName.RULES
    SVM = DetectorName.SVM
    ENSEMBLE = DetectorName.ENSEMBLE


class LanguageChoice(StrEnum):
    """The languages that reasons are told in."""

    ENGLISH = "en"
    KOREAN = "ko"


CaFileOption = Annotated[
    Path | None, typer.Option(help="PEM file: authority of the gateway's certificate; default: no TLS.")
]
CertFileOption = Annotated[Path | None, typer.Option(help="PEM file: own certificate, for a gateway that demands one.")]
KeyFileOption = Annotated[Path | None, typer.Option(help="PEM file: private key of --cert-file.")]
TokenFileOption = Annotated[Path | None, typer.Option(help="File with the bearer token.")]


class OptionGroup:
    """Options that several commands take together: the fields of a data class, see `spread`."""


@dataclass(frozen=True, slots=True)
class AccessOptions(OptionGroup):
    """How a command gets in at a gateway."""

    ca_file: CaFileOption = None
    cert_file: CertFileOption = None
    key_file: KeyFileOption = None
    token_file: TokenFileOption = None

    def access(self) -> Access:
        """Return the access; raises as `access_by_files`."""
        from service.client.access import access_by_files  # noqa: PLC0415 - gRPC, which --help does without

        return access_by_files(self.ca_file, self.cert_file, self.key_file, self.token_file)


def spread(command: Callable[..., R]) -> Callable[..., R]:
    """Return a command that has the fields of each `OptionGroup` that it takes as options of its own."""
    parameters = inspect.signature(command, eval_str=True).parameters
    groups = {
        name: inspect.signature(parameter.annotation, eval_str=True).parameters
        for name, parameter in parameters.items()
        if isinstance(parameter.annotation, type) and issubclass(parameter.annotation, OptionGroup)
    }

    @functools.wraps(command)
    def called(**values: Any) -> R:  # noqa: ANN401 - what typer read
        made = {
            name: parameters[name].annotation(**{field: values.pop(field) for field in fields})
            for name, fields in groups.items()
        }
        return command(**values, **made)

    flat = [one for name, own in parameters.items() for one in (groups[name].values() if name in groups else [own])]
    # By keyword alone: whichever has a default, the order is that in which --help shows them.
    shown = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in flat]
    called.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
    called.__annotations__ = {one.name: one.annotation for one in shown}
    return called


TimeZoneOption = Annotated[
    str | None,
    typer.Option(help="Zone of raw times without one, such as UTC; default: of the site, as the model learned it."),
]

SitesZoneOption = Annotated[
    str | None, typer.Option("--time-zone", help="Zone of the sites of which locations.csv says none. [Asia/Seoul]")
]

NetworkOption = Annotated[
    Path | None,
    typer.Option("--network", metavar="FILE", help="network.toml: words, columns and codes of another network."),
]

DataOption = Annotated[Path, typer.Option(help="Folder of raw CSV files, locations.csv and transitions.csv.")]

TruthOption = Annotated[Path | None, typer.Option(help="Truth table (csv or parquet); default: the rules label.")]

MoreDataOption = Annotated[
    list[Path] | None, typer.Option(help="Another labelled folder, only learned from: a later period, another site.")
]

MoreTruthOption = Annotated[
    Path | None, typer.Option(help="Truth table of --more-data; default: its truth.parquet or .csv, or the rules.")
]

OtherNetworkOption = Annotated[
    list[Path] | None,
    typer.Option("--other-network", help="Labelled folder of another network, learned from with tables of its own."),
]

ConfigOption = Annotated[Path | None, typer.Option(help="JSON file of training settings; flags win over it.")]


def setting(field: str, *names: str, of: type[BaseSettings] = Settings) -> Any:  # noqa: ANN401 - what typer takes
    """Return the option of a setting; its value is checked by the settings, together with the variables."""
    described = of.model_fields[field]
    default = "" if described.default in {None, ""} else f" (default: {str(described.default).lower()})"
    return typer.Option(*names, help=f"{described.description}{default}", show_default=False)


def refuse_beside_target(target: str | None, **its_own: object) -> None:
    """Raise SettingsError for the first of these flags that is given, by parameter, where a gateway is asked."""
    for name, value in its_own.items():
        if target and value is not None:
            flag, said = name.replace("_", "-"), name.replace("_", " ")
            raise SettingsError(f"--target and --{flag} exclude each other: a running gateway has its own {said}")


def more_folders(data: list[Path] | None, truth: Path | None) -> tuple[Path, ...]:
    """Return the folders of --more-data. Raise BadParameter if there is a truth without the one that it is of."""
    folders = tuple(data or ())
    if truth is not None and not folders:
        raise typer.BadParameter("--more-truth is of --more-data, which is missing; name its folder")
    if truth is not None and len(folders) > 1:
        raise typer.BadParameter("--more-truth is of one --more-data; of several, each folder has its truth.parquet")
    return folders


def need_train_extra() -> None:
    """Raise CommandError unless the packages of the training side are installed."""
    if missing := [name for name in ("torch", "pandas", "sklearn", "lightgbm", "optuna") if find_spec(name) is None]:
        raise CommandError(f'this command needs {", ".join(missing)}: pip install "epc-sentinel[train]"')
