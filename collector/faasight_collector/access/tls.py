"""TLS for both doors: certificates read from files, checked at the start, and renewed without a restart."""

import ssl
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import grpc
import structlog

from faasight_collector.access.watch import FileWatch
from faasight_collector.errors import TlsError

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """PEM files: the certificate with its chain, its key, and the CAs of clients (None: clients show nothing)."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """All of them."""
        return (self.certificate, self.key, *((self.client_ca,) if self.client_ca else ()))


@dataclass(frozen=True, slots=True)
class _Loaded:
    context: ssl.SSLContext
    for_grpc: grpc.ServerCertificateConfiguration
    expires: datetime


class Certificates:
    """What new connections are shown; those that are open keep what they were shown."""

    def __init__(self, files: TlsFiles) -> None:
        """Read the files. Raises TlsError."""
        self._files = files
        self._watch = FileWatch(*files.paths)
        self._loaded = _load(files)
        self._of_grpc = self._loaded.for_grpc

    @property
    def context(self) -> ssl.SSLContext:
        """For the next HTTP connection."""
        return self._loaded.context

    @property
    def expires(self) -> datetime:
        """When the certificate ceases to be valid."""
        return self._loaded.expires

    def refresh(self) -> None:
        """Take over changed files; while they do not fit together (one is replaced before the other) keep the old."""
        if not self._watch.changed():
            return
        try:
            self._loaded = _load(self._files)
        except TlsError as error:
            log.error("the certificate is not taken over; the one before stays in use", reason=str(error))
        else:
            log.info("certificate read again", expires=self._loaded.expires.isoformat())

    def for_grpc(self) -> grpc.ServerCredentials:
        """Return credentials that ask for the certificate at each handshake."""
        return grpc.dynamic_ssl_server_credentials(
            self._loaded.for_grpc,
            self._news_for_grpc,  # type: ignore[arg-type]  # None is documented: nothing is new
            require_client_authentication=self._files.client_ca is not None,
        )

    def _news_for_grpc(self) -> grpc.ServerCertificateConfiguration | None:
        current = self._loaded.for_grpc
        if current is self._of_grpc:
            return None
        self._of_grpc = current
        return current


def _load(files: TlsFiles) -> _Loaded:
    certificate, key = _bytes(files.certificate), _bytes(files.key)
    client_ca = _bytes(files.client_ca) if files.client_ca else None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(files.certificate, files.key, password=_no_password)
    except (ssl.SSLError, OSError, ValueError) as error:
        raise TlsError(
            f"The certificate {files.certificate} cannot be used with the key {files.key}: {_reason(error)}."
            " Both must be PEM, belong together, and the key have no password."
        ) from None
    if client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_verify_locations(cadata=client_ca.decode("ascii"))
        except (ssl.SSLError, ValueError) as error:
            raise TlsError(f"{files.client_ca} holds no CA certificate in PEM: {_reason(error)}.") from None
    for_grpc = grpc.ssl_server_certificate_configuration([(key, certificate)], client_ca)
    return _Loaded(context, for_grpc, _expiry(certificate))


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TlsError(f"{path} cannot be read: {error.strerror}.") from None


def _expiry(certificate: bytes) -> datetime:
    from cryptography import x509  # loaded where there is TLS alone

    try:
        return x509.load_pem_x509_certificates(certificate)[0].not_valid_after_utc
    except ValueError as error:
        raise TlsError(f"the certificate cannot be read: {error}") from None


def _no_password() -> str:
    """Refuse keys with a password; OpenSSL would ask for it on the terminal."""
    raise ValueError("the key has a password")


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", None) or getattr(error, "strerror", None) or error)
