"""Settings of ``epc-sentinel operate``: flags win over EPC_SENTINEL_OPERATE_* variables, which win over the defaults.

Where the log, the verdicts and the models are, it knows by the settings of the gateways.
"""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.environment import OPERATE_PREFIX, unknown_variables
from service.errors import SettingsError, in_words
from service.settings import flag_name, without_password


class Handling(StrEnum):
    """What becomes of a response."""

    OFF = "off"
    SUGGEST = "suggest"  # it is said, and somebody may do it
    ACT = "act"


class OperateSettings(BaseSettings):
    """Every setting of ``operate``; the descriptions are the help texts of the flags and the hints of messages."""

    model_config = SettingsConfigDict(env_prefix=OPERATE_PREFIX, extra="forbid", frozen=True)

    interval_s: float = Field(60.0, gt=0, le=86_400, description="seconds between two rounds, up to 86400")
    metrics: str = Field(
        "", description="http://HOST:PORT of the metrics of gateways, separated by commas, whose drift counts"
    )
    batches: int = Field(50, ge=1, description="files with labels over which accuracy is measured, from 1")
    close_batches: int = Field(
        10, ge=1, description="files of the shorter window that is measured, too, while the models are watched closely"
    )
    calm_rounds: int = Field(3, ge=1, description="quiet rounds after which they are watched closely no longer, from 1")
    watch_above: float = Field(0.2, ge=0, le=1, description="severity above which models are watched closely, 0 to 1")
    fallback: Handling = Field(
        Handling.OFF, description="off, suggest or act: give the network's files to the rules when it has failed"
    )
    fallback_above: float = Field(0.6, ge=0, le=1, description="severity of performance above which that is, 0 to 1")
    fallback_percent: float = Field(
        100.0,
        gt=0,
        le=100,
        description="percent of the files that the rules get then; the rest tells if it is well",
    )
    traffic: Handling = Field(
        Handling.SUGGEST,
        description="off, suggest or act: move the challenger's share of the files by verdicts on it and the champion",
    )
    fallback_if_worse: bool = Field(
        False, description="give files to the rules even if those are known to be worse: true or false"
    )
    retraining: Handling = Field(Handling.SUGGEST, description="off, suggest or act: retrain by --retrain-command")
    retrain_above: float = Field(0.8, ge=0, le=1, description="severity above which a retraining is due, 0 to 1")
    cooldown_s: float = Field(
        86_400.0,
        ge=0,
        description="seconds from a retraining to the next, and between fallbacks of a version",
    )
    least_labels: int = Field(100, ge=0, description="new verdicts that a retraining needs, at least")
    adopt_command: str = Field(
        "", description="command that rolls the tables on, such as epc-sentinel adopt --update; default: none"
    )
    adopt_every_s: float = Field(604_800.0, gt=0, description="seconds between two runs of --adopt-command")
    host: str = Field("127.0.0.1", min_length=1, description="address of --metrics-port, 0.0.0.0 for all interfaces")
    metrics_port: int | None = Field(
        None, ge=0, le=65535, description="TCP port of HTTP /metrics, 0 for any free one; default: off"
    )
    log_format: Literal["console", "json"] = Field("console", description="console or json")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="debug, info, warning or error")

    @field_validator("metrics")
    @classmethod
    def _check_metrics(cls, value: str) -> str:
        for one in filter(None, value.split(",")):
            if not one.strip().startswith(("http://", "https://")):
                raise ValueError("no addresses; it takes such as http://127.0.0.1:9464")
        return value

    @property
    def addresses(self) -> list[str]:
        """The addresses of the gateways' metrics."""
        return [one.strip().rstrip("/").removesuffix("/metrics") for one in self.metrics.split(",") if one.strip()]


def load_operate_settings(**flags: Any) -> OperateSettings:  # noqa: ANN401 - values of any type, checked right here
    """Return the settings; flags that are None are not given.

    Raises:
        SettingsError: one line per bad value, and one per variable that is no setting.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    unknown = unknown_variables(os.environ, OperateSettings.model_fields, OPERATE_PREFIX, "operate")
    try:
        settings = OperateSettings(**given)
    except ValidationError as error:
        lines = [_explain(str(problem["loc"][0]), problem["msg"], given) for problem in error.errors()]
        raise SettingsError("\n".join([*lines, *unknown])) from None
    if unknown:
        raise SettingsError("\n".join(unknown))
    return settings


def _explain(name: str, message: str, given: dict[str, Any]) -> str:
    variable = OPERATE_PREFIX + name.upper()
    source, value = (flag_name(name), given[name]) if name in given else (variable, os.environ.get(variable, ""))
    about = OperateSettings.model_fields[name].description
    return f"{source} is {without_password(str(value))!r}: {in_words(message)}. Meaning: {about}"
