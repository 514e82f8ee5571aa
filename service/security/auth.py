"""Who calls and what he may do: bearer tokens, client certificates, and the roles that each method needs.

Tokens are looked up in a file of hashed keys (here) or verified as JWT (`service.security.jwt_keys`).
"""

from __future__ import annotations

import hashlib
import hmac
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from service.errors import PermissionDenied, Unauthenticated, in_words


class Role(StrEnum):
    """What a caller may do."""

    ANALYZE = "analyze"  # ask for judgements
    LABEL = "label"  # say what is right and wrong, and see how good the detectors are by that
    ADMIN = "admin"  # everything that is not analysis


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a call."""

    name: str  # "key:NAME", "jwt:SUB", "cert:NAME" or "anonymous@ADDRESS": for logs, audit and limits
    roles: frozenset[Role]
    expires_at_s: float | None = None  # Unix time at which the token is no longer good; None: never


Verify = Callable[[str], Caller]
"""Returns the caller who holds a token; raises Unauthenticated if it is none of ours."""

EVERY_ROLE = frozenset(Role)

_NOBODY = Caller("anonymous", EVERY_ROLE)
_CALLER: ContextVar[Caller] = ContextVar("caller", default=_NOBODY)
_MAX_NAME = 200

_OPEN = "grpc.health.v1.Health"
"""Probes carry no token, and learn nothing but SERVING or not."""

_ROLES: Mapping[str, frozenset[Role]] = {
    "epcsentinel.v1.AnomalyService": frozenset({Role.ANALYZE}),
    "epcsentinel.v1.FeedbackService": frozenset({Role.LABEL}),
    "epcsentinel.v1.FlowService": frozenset({Role.ANALYZE, Role.ADMIN}),
    # The contract is public; that somebody may ask for it at length is not.
    "grpc.reflection.v1alpha.ServerReflection": EVERY_ROLE,
    "grpc.reflection.v1.ServerReflection": EVERY_ROLE,
}
"""The roles of a service, one of which is enough. A service that is not here, one to come for instance, needs ADMIN."""

_ADMINS_ALONE = frozenset(
    f"/epcsentinel.v1.FlowService/{name}"
    for name in ("GenerateData", "Train", "GetOperation", "CancelOperation", "DeleteModel")
)
"""Methods that make or remove something, of a service that others may ask, too."""


def caller() -> Caller:
    """Return who makes the call that this code runs for; known in everything that a handler awaits or starts."""
    return _CALLER.get()


def set_caller(who: Caller) -> None:
    """Say who makes the call that the current task serves."""
    _CALLER.set(who)


def named(kind: str, name: str, roles: Iterable[Role], expires_at_s: float | None = None) -> Caller:
    """Return a caller whose name says how he is known: "key", "jwt", "cert" or "anonymous"."""
    full = f"{kind}{'@' if kind == 'anonymous' else ':'}{name}"
    if len(full) > _MAX_NAME:  # two that begin alike are two
        full = f"{full[: _MAX_NAME - 17]}~{hashlib.sha256(full.encode()).hexdigest()[:16]}"
    return Caller(full, frozenset(roles), expires_at_s)


def certificate_name(properties: Mapping[str, Iterable[bytes]]) -> str:
    """Return by what a client certificate is known, of the properties that gRPC has of it.

    That is its common name; without one, its first URI (of SPIFFE, for instance) or DNS name; without any, its digest.
    """
    for key in ("x509_common_name", "peer_uri", "peer_dns"):
        if name := next(iter(properties.get(key, ())), b"").decode(errors="replace").strip():
            return name
    return f"sha256-{hashlib.sha256(b''.join(properties.get('x509_pem_cert', ()))).hexdigest()}"


def is_open(method: str) -> bool:
    """Return whether a method ("/package.Service/Method") is for everybody."""
    return _service(method) == _OPEN


def authorize(who: Caller, method: str) -> None:
    """Raise PermissionDenied unless the caller has a role that the method needs."""
    admins = frozenset({Role.ADMIN})
    if not who.roles & (admins if method in _ADMINS_ALONE else _ROLES.get(_service(method), admins)):
        raise PermissionDenied("this caller may not call this method: ask the operator for the role")


def bearer_token(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """Return the token of the call's ``authorization`` metadata.

    Raises:
        Unauthenticated: there is none, or more than one.
    """
    values = [value for key, value in metadata if key == "authorization"]
    if len(values) != 1 or not isinstance(values[0], str):
        raise Unauthenticated("no bearer token" if not values else "several bearer tokens")
    scheme, _, token = values[0].partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("no bearer token")
    return token.strip()


def first_of(verifiers: Sequence[Verify]) -> Verify:
    """Return what asks the verifiers in turn; the reason of the last one is that of the failure."""

    def verify(token: str) -> Caller:
        for at, ask in enumerate(verifiers):
            try:
                return ask(token)
            except Unauthenticated:
                if at == len(verifiers) - 1:
                    raise
        raise Unauthenticated("no token is accepted")

    return verify


class _Key(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    roles: list[Role] = Field(min_length=1)


class _Keys(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    key: list[_Key] = Field(min_length=1)


def digest_of(token: str) -> bytes:
    """Return the digest by which a token is known."""
    return hashlib.sha256(token.encode()).digest()


def parse_keys(contents: Sequence[bytes]) -> Verify:
    """Return the verifier of a file of keys: TOML, a table ``[[key]]`` with ``name``, ``sha256``, ``roles`` for each.

    ``sha256`` is that of the token, in hex. No slow hash is needed, because a token is no password: 32 random bytes
    cannot be guessed. A name may have several keys, so that a caller can change his without a pause.

    Raises:
        ValueError: the file is something else; the message holds no hash.
    """
    find = parse_digests(contents)
    return lambda token: find(digest_of(token))


def parse_digests(contents: Sequence[bytes]) -> Callable[[bytes], Caller]:
    """Return what finds a caller by the digest of a token; as `parse_keys`."""
    try:
        keys = _Keys.model_validate(tomllib.loads(contents[0].decode()), strict=False).key
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"{where}: {in_words(first['msg'])}; each [[key]] has name, sha256 and roles") from None
    known = [(bytes.fromhex(key.sha256), named("key", key.name, key.roles)) for key in keys]

    def find(digest: bytes) -> Caller:
        found = None
        for expected, who in known:  # all of them, always: the time does not tell which one was close
            if hmac.compare_digest(expected, digest):
                found = who
        if found is None:
            raise Unauthenticated("unknown key")
        return found

    return find


def _service(method: str) -> str:
    return method.rpartition("/")[0].removeprefix("/")
