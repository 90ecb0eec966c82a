"""What can go wrong in the collector.

CollectorError
├── AddressError         a door cannot be opened: port in use, or a bind that is not allowed
├── JournalError         the journal directory cannot be used
│   └── JournalLockedError   another process has it
├── TokenFileError       the file with ingest tokens cannot be read, understood or written
├── TlsError             a certificate, key or CA cannot be used
└── Refusal              a request that is not accepted; says how to answer it
"""

# The numbers of google.rpc.Code, as gRPC defines them.
INVALID_ARGUMENT = 3
NOT_FOUND = 5
PERMISSION_DENIED = 7
RESOURCE_EXHAUSTED = 8
UNIMPLEMENTED = 12
INTERNAL = 13
UNAVAILABLE = 14
UNAUTHENTICATED = 16


class CollectorError(Exception):
    """Base of all; its text says what happened, where, and what to do."""


class AddressError(CollectorError):
    """An address cannot be listened on."""


class JournalError(CollectorError):
    """The journal directory cannot be used."""


class JournalLockedError(JournalError):
    """The journal directory is in use by another process."""


class TokenFileError(CollectorError):
    """The file with ingest tokens is of no use."""


class TlsError(CollectorError):
    """A certificate, its key, or the clients' CA is of no use."""


class Refusal(CollectorError):  # noqa: N818  # a refusal is an answer to a client, not a fault of ours
    """A request that is not accepted.

    `reason` is a short label for counting, `http` the HTTP status, `code` the google.rpc.Code, and `retry_after_s`
    is set when the same request may succeed later (the only case in which a client should send it again); `headers`
    are further header lines of the answer.
    """

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        http: int = 400,
        code: int = INVALID_ARGUMENT,
        retry_after_s: int | None = None,
        headers: bytes = b"",
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.http = http
        self.code = code
        self.retry_after_s = retry_after_s
        self.headers = headers


def overloaded(reason: str, message: str, retry_after_s: int = 5) -> Refusal:
    """Return the refusal that asks the client to come back later (503, UNAVAILABLE)."""
    return Refusal(reason, message, http=503, code=UNAVAILABLE, retry_after_s=retry_after_s)
