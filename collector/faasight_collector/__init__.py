"""Receives telemetry, keeps it safe in a journal and ships it to ClickHouse."""

from faasight_collector.access.tls import TlsFiles
from faasight_collector.errors import AddressError, CollectorError, JournalLockedError, TlsError, TokenFileError
from faasight_collector.service import Collector
from faasight_collector.settings import Settings

__all__ = [
    "AddressError",
    "Collector",
    "CollectorError",
    "JournalLockedError",
    "Settings",
    "TlsError",
    "TlsFiles",
    "TokenFileError",
]
