"""Keys of JWT: which sets of them are refused, and which tokens they let in."""

from __future__ import annotations

import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from service.errors import Unauthenticated
from service.security import auth
from service.security.jwt_keys import jwt_parser
from tests.support.secrets import AUDIENCE, ISSUER, jwks, new_jwt

KEY = ec.generate_private_key(ec.SECP256R1())
BAD_JWKS = {
    "not JSON": "{",
    "no keys": '{"keys": []}',
    "another thing": '{"a": 1}',
    "a shared secret": '{"keys": [{"kty": "oct", "k": "c2VjcmV0LXNlY3JldA", "kid": "a"}]}',
    "a private key": json.dumps({"keys": [json.loads(jwt.algorithms.ECAlgorithm.to_jwk(KEY))]}),
    "the same kid twice": json.dumps({"keys": json.loads(jwks(a=KEY))["keys"] * 2}),
}


@pytest.mark.parametrize("case", BAD_JWKS)
def test_a_jwks_of_no_use_is_refused_in_one_line_without_its_contents(case: str) -> None:
    with pytest.raises(ValueError, match="JWKS") as caught:
        jwt_parser(ISSUER, AUDIENCE)([BAD_JWKS[case].encode()])
    assert "\n" not in str(caught.value)
    assert "c2Vj" not in str(caught.value)


def test_rsa_keys_and_a_lone_key_without_kid_work() -> None:
    private = rsa.generate_private_key(65537, 2048)
    entry = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(private.public_key()))
    verify = jwt_parser(ISSUER, AUDIENCE)([json.dumps({"keys": [entry]}).encode()])
    claims = {"iss": ISSUER, "aud": [AUDIENCE, "other"], "sub": "s", "exp": int(time.time()) + 60, "scope": "x admin"}
    who = verify(jwt.encode(claims, private, "RS256"))
    assert (who.name, who.roles) == ("jwt:s", {auth.Role.ADMIN})
    with pytest.raises(Unauthenticated):
        verify(jwt.encode(claims, private, "PS256"))  # the key is for RS256 alone


def test_a_token_that_was_good_expires_also_when_its_signature_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    verify = jwt_parser(ISSUER, AUDIENCE)([jwks(a=KEY).encode()])
    token = new_jwt(KEY)
    assert verify(token) is verify(token)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3700)
    with pytest.raises(Unauthenticated):
        verify(token)
