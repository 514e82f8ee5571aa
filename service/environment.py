"""Which EPC_SENTINEL_* variables are there that no setting has: a missing letter must not start an open gateway."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping

ENV_PREFIX = "EPC_SENTINEL_"

_LINK = re.compile(r"(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)")
"""What Kubernetes injects into pods for each Service: EPC_SENTINEL_SERVICE_HOST, EPC_SENTINEL_PORT_50051_TCP, .."""

_LINKED_URL = re.compile(r"(tcp|udp|sctp)://.*")


def unknown_variables(environment: Mapping[str, str], fields: Collection[str]) -> list[str]:
    """Return a line for each variable of our prefix that is none of the ``fields``; never its value, a secret perhaps.

    The many that Kubernetes injects for one Service share a line.
    """
    known = {ENV_PREFIX + field.upper() for field in fields}
    ours = sorted(name for name in environment if name.upper().startswith(ENV_PREFIX) and name.upper() not in known)
    links = [name for name in ours if is_service_link(name, environment[name])]
    lines = [_line(name, known) for name in ours if name not in links]
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


def _line(name: str, known: Collection[str]) -> str:
    nearest = difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.8)
    advice = f"did you mean {nearest[0]}?" if nearest else "epc-sentinel serve --help lists the settings"
    return f"the variable {name} is no setting: {advice}"
