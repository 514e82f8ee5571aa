"""Sessions of people who logged in: a signed cookie that names the token by its digest, so it ends with the token."""

from __future__ import annotations

import secrets
from pathlib import Path

from itsdangerous import BadSignature, URLSafeTimedSerializer

from service.errors import SettingsError, Unauthenticated
from service.security.auth import Caller, digest_of, parse_digests
from service.security.watched_files import Watched

COOKIE = "epc_sentinel_session"
AGE_S = 12 * 3600
"""After so many seconds a person logs in again."""

_LEAST_KEY = 32


class Sessions:
    """Knows callers by their tokens, and by the cookies that they got for them."""

    def __init__(self, keys: Path, session_key: Path | None) -> None:
        """Read the keys, and follow them as the gateway does.

        Args: ``session_key`` is a file of at least 32 random bytes that replicas share; without one, sessions end with
        the process.

        Raises:
            SettingsError: a file cannot be used.
        """
        self._keys = Watched("--auth-keys", [keys], parse_digests)
        self._signer = URLSafeTimedSerializer(_secret(session_key), salt="session")

    def by_token(self, token: str) -> Caller:
        """Return who holds a token; raises Unauthenticated."""
        return self._keys.value(digest_of(token))

    def cookie(self, token: str) -> str:
        """Return the cookie of who holds a token; raises Unauthenticated."""
        self.by_token(token)
        return str(self._signer.dumps(digest_of(token).hex()))

    def by_cookie(self, cookie: str) -> Caller:
        """Return whose cookie it is; raises Unauthenticated, if the token is no longer known too."""
        try:
            digest = bytes.fromhex(self._signer.loads(cookie, max_age=AGE_S))
        except (BadSignature, ValueError, TypeError):
            raise Unauthenticated("no such session") from None
        return self._keys.value(digest)


def _secret(path: Path | None) -> bytes:
    if path is None:
        return secrets.token_bytes(_LEAST_KEY)
    try:
        secret = path.read_bytes().strip()
    except OSError as error:
        raise SettingsError(f"--session-key: cannot read {path}: {error.strerror}") from None
    if len(secret) < _LEAST_KEY:
        raise SettingsError(f"--session-key: {path} has {len(secret)} bytes: write at least {_LEAST_KEY} random ones")
    return secret
