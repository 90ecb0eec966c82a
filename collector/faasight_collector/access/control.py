"""All that decides who may come in, put together from the settings: tokens, certificates, web pages."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from faasight_collector.access.address import check_hosts
from faasight_collector.access.cors import Origins
from faasight_collector.access.guard import Guard
from faasight_collector.access.tls import Certificates
from faasight_collector.settings import Settings


@dataclass(frozen=True, slots=True)
class Access:
    """Shared by both doors; `guard` and `certificates` are None where they are not set up."""

    guard: Guard | None
    certificates: Certificates | None
    origins: Origins

    @classmethod
    def of(cls, settings: Settings, clock: Callable[[], float] = time.time) -> "Access":
        """Read all files. Raises AddressError, TokenFileError or TlsError."""
        check_hosts(settings)
        guard = None
        if settings.tokens is not None:
            guard = Guard(
                settings.tokens,
                requests_per_s=settings.token_requests_per_s,
                bytes_per_s=settings.token_bytes_per_s,
                share=1 / settings.workers,
                clock=clock,
            )
        return cls(guard, Certificates(settings.tls) if settings.tls else None, Origins(settings.cors_origins))

    def refresh(self) -> None:
        """Take over files that were changed; called every second."""
        if self.guard is not None:
            self.guard.refresh()
        if self.certificates is not None:
            self.certificates.refresh()
