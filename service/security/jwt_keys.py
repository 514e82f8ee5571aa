"""Bearer tokens that are JWT, verified with the public keys of a JWKS file."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import jwt

from service.errors import Unauthenticated
from service.security.auth import Caller, Role, Verify, named

LEEWAY_S = 10.0
"""Seconds that the clock of whoever issues tokens may differ from ours."""

_ALGORITHMS = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)  # signatures alone: with a shared secret, who can verify could issue
_REQUIRED = ["exp", "iss", "aud", "sub"]
_CACHED = 1024  # tokens whose signature was verified; a reload of the keys forgets them


def jwt_parser(issuer: str, audience: str) -> Callable[[Sequence[bytes]], Verify]:
    """Return the parser of a JWKS file (RFC 7517), whose verifier accepts tokens of ``issuer`` for ``audience``.

    A token must name a key of the file by ``kid`` (unless there is only one), be signed with that key's own algorithm,
    not be expired, and have a ``sub``. Roles are the words of ``scope`` (RFC 8693) and the items of ``roles``
    (RFC 9068) that are roles of ours.
    """

    def parse(contents: Sequence[bytes]) -> Verify:
        keys = _parse_keys(contents[0])

        @lru_cache(_CACHED)
        def signed(token: str) -> Caller:
            return _verify(token, keys, issuer, audience)

        def verify(token: str) -> Caller:
            who = signed(token)
            if who.expires_at_s is not None and time.time() >= who.expires_at_s:
                raise Unauthenticated("JWT: expired")
            return who

        return verify

    return parse


def _parse_keys(content: bytes) -> dict[str, jwt.PyJWK]:
    """Return the keys by ``kid``; one key without it has the name "".

    Raises:
        ValueError: it is no JWKS, or a key is of no use here.
    """
    try:
        entries = json.loads(content)["keys"]
        keys = [jwt.PyJWK.from_dict(entry) for entry in entries if entry.get("use", "sig") == "sig"]
    except (ValueError, TypeError, KeyError, AttributeError, jwt.PyJWTError) as error:
        # The texts of the library may show the key.
        raise ValueError(f"no JWKS with public keys for signatures ({type(error).__name__})") from None
    if not keys:
        raise ValueError("the JWKS has no key for signatures")
    if any("d" in entry for entry in entries):
        raise ValueError(
            "the JWKS holds a private key: it belongs to whoever issues tokens, leave the public part here"
        )
    for key in keys:
        if key.algorithm_name not in _ALGORITHMS:
            raise ValueError(f"the JWKS has a key for {key.algorithm_name}: only public keys for signatures are taken")
    named_keys = {key.key_id or "": key for key in keys}
    if len(named_keys) < len(keys) or ("" in named_keys and len(keys) > 1):
        raise ValueError("the keys of the JWKS must have different kid")
    return named_keys


def _verify(token: str, keys: Mapping[str, jwt.PyJWK], issuer: str, audience: str) -> Caller:
    try:
        kid = jwt.get_unverified_header(token).get("kid", "")
        key = next(iter(keys.values())) if len(keys) == 1 and not kid else keys.get(kid)
        if key is None:
            raise Unauthenticated("JWT: unknown kid")
        claims = jwt.decode(
            token, key.key, algorithms=[key.algorithm_name], audience=audience, issuer=issuer, leeway=LEEWAY_S,
            options={"require": _REQUIRED},
        )  # fmt: skip
    except (jwt.PyJWTError, RecursionError) as error:  # the latter: JSON of brackets alone
        raise Unauthenticated(f"JWT: {type(error).__name__}") from None
    return named("jwt", claims["sub"], _roles(claims), float(claims["exp"]) + LEEWAY_S)


def _roles(claims: Mapping[str, Any]) -> list[Role]:
    scope, roles = claims.get("scope", ""), claims.get("roles", [])
    words = [*(scope.split() if isinstance(scope, str) else ()), *(roles if isinstance(roles, list) else ())]
    return [role for role in Role if role.value in words]
