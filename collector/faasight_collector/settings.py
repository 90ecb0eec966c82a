"""What a collector can be told, with defaults that suit one machine."""

from dataclasses import dataclass, field
from pathlib import Path

from faasight_store.lifetime import Lifetime

from faasight_collector.access.tls import TlsFiles

MIB = 1024 * 1024
SEGMENT_BYTES = 32 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where a collector listens, where it keeps its journal, and its limits.

    Ports may be 0: the system picks free ones, and `Collector.http_address` tells which. An address beyond loopback
    is refused unless senders must show something (`tokens`, or a certificate of `tls.client_ca`), or `allow_remote`
    says that something else guards it: a network of your own (docker-compose has one), or a proxy.
    """

    journal_dir: Path
    host: str = "127.0.0.1"
    http_port: int = 4318
    grpc_host: str = "127.0.0.1"
    grpc_port: int | None = 4317  # None: no gRPC door
    share_ports: bool = False  # with other processes of this machine: the kernel deals connections out
    home: Path | None = None  # where journals may lie that nobody has open; None: in `journal_dir`
    adopt: Path | None = None  # another folder with such journals, as of a machine that was lost
    adopt_every_s: float = 5.0  # how often they are looked for
    worker: int = 0  # from 1: one of several processes that share the ports, with `home` over their journals
    workers: int = 1  # how many they are
    allow_remote: bool = False

    tokens: Path | None = None  # file of ingest tokens; None: nobody is asked
    token_requests_per_s: float = 0  # of each token that has no limit of its own; 0: no limit
    token_bytes_per_s: float = 0  # the same, of bodies after decompression
    tls: TlsFiles | None = None
    cors_origins: frozenset[str] = frozenset()  # web pages of these may send

    max_body_bytes: int = 20 * MIB  # of an HTTP body, before and after decompression
    max_grpc_bytes: int = 4 * MIB
    max_buffered_bytes: int = 64 * MIB  # bodies in memory over all connections; beyond it the answer is 503
    max_connections: int = 10_000  # of HTTP; fewer where the system allows less files
    max_grpc_connections: int = 1_000
    handshake_timeout_s: float = 10.0  # of TLS
    header_timeout_s: float = 10.0  # from a request's first byte to the end of its headers
    request_timeout_s: float = 30.0  # from a request's first byte to its last; longer at 64 KiB/s or more
    idle_timeout_s: float = 120.0  # of a kept-alive connection

    commit_window_s: float = 0.002  # a request waits for others to share its fdatasync; where many come, twice as long
    segment_bytes: int = (
        SEGMENT_BYTES  # an insert has a price of its own; larger ones make the engine use much more memory
    )
    segment_age_s: float = 1.0  # how long a record waits for its segment to be shipped
    segment_age_max_s: float = 5.0  # the same where inserts take long: each has a price of its own, however small
    keep_shipped_s: float = 300.0  # shipped segments are kept as long, and shipped again on start
    store_is_shared: bool = False  # others insert too: its deduplication window moves on while this one is stopped
    journal_budget_bytes: int = 4096 * MIB
    disk_reserve_bytes: int = 256 * MIB  # the journal leaves this much of the disk free

    stop_timeout_s: float = 5.0
    report_every_s: float = 10.0  # own counters into the store
    settle_every_s: float = 15.0  # rollups of minutes and hours that are over
    lifetime: Lifetime = field(default_factory=Lifetime)  # how long what is stored stays
    lifetime_every_s: float = 60.0
