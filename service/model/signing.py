"""Ed25519 signatures of model versions: the manifest is signed, and holds the SHA-256 of the other files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from service.errors import SettingsError

SIGNATURE_FILE = "manifest.sig"
"""Beside the manifest: 64 bytes, the signature of the manifest's bytes as they are; openssl can make and check it."""

Trust = Sequence[Ed25519PublicKey]
"""Keys, one of which must have signed."""

_BLOCK = re.compile(rb"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", re.DOTALL)


def load_signing_key(path: Path) -> Ed25519PrivateKey:
    """Return the private key in a PEM file; raises SettingsError if there is none."""
    try:
        key = load_pem_private_key(_read(path, "--sign"), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsError(
            f"--sign: {path} holds no Ed25519 private key without a password;"
            f" make one with: openssl genpkey -algorithm ed25519 -out {path}"
        )
    return key


def load_trust(path: Path) -> Trust:
    """Return the public keys in a PEM file, several while one replaces another.

    Raises:
        SettingsError: it has none, or something else.
    """
    blocks = _BLOCK.findall(_read(path, "--trust"))
    try:
        keys = [load_pem_public_key(block) for block in blocks]
    except (ValueError, UnsupportedAlgorithm):
        keys = []
    trusted = [key for key in keys if isinstance(key, Ed25519PublicKey)]
    if not blocks or len(trusted) < len(blocks):
        raise SettingsError(
            f"--trust: {path} must hold Ed25519 public keys and nothing else;"
            " get one with: openssl pkey -in PRIVATE.pem -pubout"
        )
    return trusted


def is_signed(content: bytes, signature: bytes, trust: Trust) -> bool:
    """Return whether one of the keys made this signature of these bytes."""
    for key in trust:
        try:
            key.verify(signature, content)
        except InvalidSignature:
            continue
        return True
    return False


def _read(path: Path, flag: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{flag}: cannot read {path}: {error.strerror}") from None
