"""How a client gets in at a gateway: the authority that it trusts, its own certificate, its token."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc

from service.errors import CommandError, SettingsError

Options = Sequence[tuple[str, int | str]]
Metadata = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Access:
    """What connections and calls carry; the default is nothing."""

    credentials: grpc.ChannelCredentials | None = None  # of TLS
    token: Callable[[], str] | None = None  # of now: it may change

    def channel(self, target: str, options: Options = ()) -> grpc.Channel:
        """Return a channel to HOST:PORT."""
        options = [*options, *_no_proxy(target)]
        if self.credentials is None:
            return grpc.insecure_channel(target, options)
        return grpc.secure_channel(target, self.credentials, options)

    def aio_channel(self, target: str, options: Options = ()) -> grpc.aio.Channel:
        """Return a channel to HOST:PORT for asyncio."""
        options = [*options, *_no_proxy(target)]
        if self.credentials is None:
            return grpc.aio.insecure_channel(target, options)
        return grpc.aio.secure_channel(target, self.credentials, options)

    def metadata(self) -> Metadata:
        """Return what a call that starts now carries."""
        return (("authorization", f"Bearer {self.token()}"),) if self.token else ()


OPEN = Access()

_LOOPBACK = re.compile(r"(?:\w+:/{0,3})?(?:localhost|127(?:\.\d+){3}|\[::1\])(?::\d+)?(?:,.*)?")


def _no_proxy(target: str) -> Options:
    """Return the option that keeps connections of this machine to itself: gRPC takes them to http_proxy, too."""
    return [("grpc.enable_http_proxy", 0)] if _LOOPBACK.fullmatch(target) else []


def access_by_files(ca: Path | None, cert: Path | None, key: Path | None, token: Path | None) -> Access:
    """Return the access that files give, all of them PEM but the token's, which is read again for every call.

    Raises:
        SettingsError: a file cannot be read, or one that goes with another is missing.
    """
    if (cert is None) != (key is None):
        raise SettingsError("--cert-file and --key-file go together: give both or none")
    if cert and ca is None:
        raise SettingsError("--cert-file needs --ca-file: the authority of the gateway's certificate")
    credentials = None
    if ca:
        pair = (_read(key), _read(cert)) if cert and key else (None, None)
        credentials = grpc.ssl_channel_credentials(_read(ca), *pair)
    if token is None:
        return Access(credentials)
    _read(token)  # a wrong name is an error now, not at the first call
    return Access(credentials, lambda: _read(token).decode(errors="replace").strip())


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}") from None
