"""TLS of the server: certificates that are renewed without a restart, and callers who prove themselves with theirs."""

from __future__ import annotations

import math
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path

import grpc
import structlog
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from service.security.watched_files import Watched

log = structlog.get_logger("epc_sentinel.tls")


def server_credentials(cert: Path, key: Path, client_ca: Path | None) -> grpc.ServerCredentials:
    """Return credentials that follow their files: a handshake after a change uses the new ones, connections stay.

    Args:
        cert: PEM file of the server's certificate and those between it and its authority, in this order.
        key: PEM file of its private key, without a password.
        client_ca: PEM file of the authorities of callers; given, a caller without a certificate of theirs is cut off.

    Raises:
        SettingsError: a file is missing or of no use.
    """
    paths = [cert, key, *([client_ca] if client_ca else ())]
    watched = Watched("--tls-cert, --tls-key, --tls-client-ca", paths, _parse)
    current = watched.value

    def renewed() -> grpc.ServerCertificateConfiguration | None:
        """Return the configuration if it is a new one; gRPC asks at every handshake."""
        nonlocal current
        before, current = current, watched.value
        return None if current is before else current

    # The types say that it always returns one; the documentation says that None keeps what there is.
    return grpc.dynamic_ssl_server_credentials(current, renewed, client_ca is not None)  # type: ignore[arg-type]


def http_context(
    cert: Path, key: Path, client_ca: Path | None, setting: str = "--metrics-tls"
) -> Callable[[], ssl.SSLContext]:
    """Return what gives the context of Python's own servers: from the files of `server_credentials`, followed as there.

    Args: ``setting`` names the flags of the files, for messages.

    Raises:
        SettingsError: a file is missing or of no use.
    """

    def parse(_contents: Sequence[bytes]) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # TLS 1.2 and newer
        try:  # it takes files only; a password is answered with none, or it would be asked for on the terminal
            context.load_cert_chain(cert, key, password=lambda: "")
            if client_ca:
                context.load_verify_locations(client_ca)
                context.verify_mode = ssl.CERT_REQUIRED
        except ssl.SSLError as error:
            why = error.reason or "one of them is no PEM file"
            raise ValueError(f"certificate, key and authority do not go together ({why})") from None
        return context

    watched = Watched(setting, [cert, key, *([client_ca] if client_ca else ())], parse)
    return lambda: watched.value


def expires_at_s(cert: Path | None) -> float:
    """Return the Unix time at which a file's first certificate expires; infinity without a file, NaN if unusable."""
    if cert is None:
        return math.inf
    try:
        chain = x509.load_pem_x509_certificates(cert.read_bytes())
    except (OSError, ValueError):
        return math.nan
    return min(one.not_valid_after_utc.timestamp() for one in chain)


def _parse(contents: Sequence[bytes]) -> grpc.ServerCertificateConfiguration:
    """Return what gRPC takes; it would report a wrong file at handshakes only, and to nobody.

    Raises:
        ValueError: a file is not PEM, or the key is not that of the certificate.
    """
    cert, key, *client_ca = contents
    try:
        chain = x509.load_pem_x509_certificates(cert)
        for authorities in client_ca:
            x509.load_pem_x509_certificates(authorities)
    except ValueError:
        raise ValueError("a certificate file holds no PEM certificate") from None
    try:
        public = load_pem_private_key(key, password=None).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):  # the texts of the library are about ASN.1
        raise ValueError("the key file holds no PEM private key without a password") from None
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if public.public_bytes(*form) != chain[0].public_key().public_bytes(*form):
        raise ValueError("the key is not that of the first certificate")
    log.info("certificate", subject=chain[0].subject.rfc4514_string(), expires=chain[0].not_valid_after_utc.isoformat())
    return grpc.ssl_server_certificate_configuration([(key, cert)], client_ca[0] if client_ca else None)
