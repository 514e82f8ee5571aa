"""Which EPC_SENTINEL_* variables are there that no setting has: a missing letter must not start an open gateway."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping

ENV_PREFIX = "EPC_SENTINEL_"
WEB_PREFIX = f"{ENV_PREFIX}WEB_"
OPERATE_PREFIX = f"{ENV_PREFIX}OPERATE_"
"""Settings of ``epc-sentinel web`` and ``operate``, whose environment may be that of a gateway too."""

_LINK = re.compile(r"(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)")
"""What Kubernetes injects into pods for each Service: EPC_SENTINEL_SERVICE_HOST, EPC_SENTINEL_PORT_50051_TCP, .."""

_LINKED_URL = re.compile(r"(tcp|udp|sctp)://.*")


def unknown_variables(
    environment: Mapping[str, str], fields: Collection[str], prefix: str = ENV_PREFIX, command: str = "serve"
) -> list[str]:
    """Return a line for each variable of the prefix that is none of the ``fields``; never its value, a secret perhaps.

    The many that Kubernetes injects for one Service share a line. What begins with the longer `WEB_PREFIX` or
    `OPERATE_PREFIX` is none of the gateway's.
    """
    known = {prefix + field.upper() for field in fields}
    others = (WEB_PREFIX, OPERATE_PREFIX) if prefix == ENV_PREFIX else "\n"
    ours = sorted(
        name
        for name in environment
        if name.upper().startswith(prefix) and name.upper() not in known and not name.upper().startswith(others)
    )
    links = [name for name in ours if is_service_link(name, environment[name])]
    lines = [_line(name, known, command) for name in ours if name not in links]
    if links:
        lines.append(
            f"{', '.join(links)}: from Kubernetes, of a Service so named: set enableServiceLinks: false in the pod"
        )
    return lines


def is_service_link(name: str, value: str) -> bool:
    """Return whether Kubernetes injects a variable of this name and value; EPC_SENTINEL_PORT is one by its value."""
    rest = name.upper().removeprefix(ENV_PREFIX)
    by_value = (rest == "PORT" or rest.endswith("_PORT")) and _LINKED_URL.fullmatch(value)
    return bool(by_value or _LINK.fullmatch(rest))


def _line(name: str, known: Collection[str], command: str) -> str:
    nearest = difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.8)
    advice = f"did you mean {nearest[0]}?" if nearest else f"epc-sentinel {command} --help lists the settings"
    return f"the variable {name} is no setting: {advice}"
