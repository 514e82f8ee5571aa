"""Certificates, keys and tokens for the tests: real ones, made anew for every run."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

ISSUER = "https://issuer.example"

AUDIENCE = "epc-sentinel"


def keys_of(*roles: str) -> str:
    """Return a file of keys, one of each role, whose token is its name."""
    made = ((role, hashlib.sha256(role.encode()).hexdigest()) for role in roles)
    return "".join(f'[[key]]\nname = "{role}"\nsha256 = "{digest}"\nroles = ["{role}"]\n' for role, digest in made)


@dataclass(frozen=True)
class Identity:
    """A certificate and its key; signs others if it is an authority."""

    cert: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def cert_pem(self) -> bytes:
        """The certificate as a file's content."""
        return self.cert.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The private key as a file's content."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def issue(self, name: str, *others: x509.GeneralName) -> Identity:
        """Return a certificate signed by this authority: for ``name`` on this machine, or for ``others`` instead."""
        return _identity(name, self, *others)

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Write NAME.pem and NAME-key.pem; return their paths."""
        paths = folder / f"{name}.pem", folder / f"{name}-key.pem"
        paths[0].write_bytes(self.cert_pem)
        paths[1].write_bytes(self.key_pem)
        return paths


def authority(name: str = "test authority") -> Identity:
    """Return a new certificate authority."""
    return _identity(name, None)


def _identity(name: str, issuer: Identity | None, *others: x509.GeneralName) -> Identity:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)] if name else [])
    here = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.cert.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(others or here), critical=False)
    )
    return Identity(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)


def new_token() -> str:
    """Return a bearer token as the documentation says to make one."""
    return secrets.token_urlsafe(32)


def key_entry(name: str, token: str, *roles: str) -> str:
    """Return the entry of ``--auth-keys`` for a token."""
    digest = hashlib.sha256(token.encode()).hexdigest()
    return f'[[key]]\nname = "{name}"\nsha256 = "{digest}"\nroles = {json.dumps(roles)}\n'


def jwks(**keys: ec.EllipticCurvePrivateKey) -> str:
    """Return the JWKS with the public keys; names are their ``kid``."""
    algorithm = jwt.algorithms.ECAlgorithm
    public = {kid: json.loads(algorithm.to_jwk(key.public_key())) for kid, key in keys.items()}
    return json.dumps({"keys": [key | {"kid": kid, "use": "sig", "alg": "ES256"} for kid, key in public.items()]})


def new_jwt(key: ec.EllipticCurvePrivateKey, kid: str = "a", **claims: Any) -> str:  # noqa: ANN401 - claims are JSON
    """Return a token that is good for an hour, but for ``claims``; those that are None are left out."""
    now = int(time.time())
    usual = {"iss": ISSUER, "aud": AUDIENCE, "sub": "tester", "exp": now + 3600, "scope": "analyze"}
    given = {name: value for name, value in (usual | claims).items() if value is not None}
    return jwt.encode(given, key, "ES256", headers={"kid": kid})


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    """Return the metadata that carries the token."""
    return (("authorization", f"Bearer {token}"),)


def private_pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public_pem(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


KEY, OTHER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()

TRUST = [KEY.public_key()]
