"""What a collector can be told, with defaults that suit one machine."""

from dataclasses import dataclass
from pathlib import Path

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where a collector listens, where it keeps its journal, and its limits.

    Ports may be 0: the system picks free ones, and `Collector.http_address` tells which. An address beyond loopback
    is refused unless `allow_remote` is set, because nothing asks senders who they are yet: put it behind a network
    of your own (docker-compose does).
    """

    journal_dir: Path
    host: str = "127.0.0.1"
    http_port: int = 4318
    grpc_port: int | None = 4317  # None: no gRPC door
    allow_remote: bool = False

    max_body_bytes: int = 20 * MIB  # of an HTTP body, before and after decompression
    max_grpc_bytes: int = 4 * MIB
    max_buffered_bytes: int = 128 * MIB  # bodies in memory over all connections; beyond it the answer is 503
    request_timeout_s: float = 30.0  # from a request's first byte to its last
    idle_timeout_s: float = 120.0  # of a kept-alive connection

    commit_window_s: float = 0.002  # how long a request waits for others to share its fdatasync
    segment_bytes: int = 16 * MIB  # a larger insert makes the engine use much more memory
    segment_age_s: float = 1.0  # how long a record waits for its segment to be shipped
    segment_age_max_s: float = 5.0  # the same where the store is slow: an insert has a price of its own, however small
    keep_shipped_s: float = 300.0  # shipped segments are kept as long, and shipped again on start
    store_is_shared: bool = False  # others insert too: its deduplication window moves on while this one is stopped
    journal_budget_bytes: int = 4096 * MIB
    disk_reserve_bytes: int = 256 * MIB  # the journal leaves this much of the disk free

    stop_timeout_s: float = 5.0
    report_every_s: float = 10.0  # own counters into the store
    settle_every_s: float = 30.0  # rollups of hours that are over
