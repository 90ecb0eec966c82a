"""The collector as a whole: its parts put together, started and stopped in order."""

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import orjson
import structlog
from faasight_store import Store, lifetime, rollup
from faasight_store.queries import ingest
from faasight_store.types import IngestStats
from opentelemetry.trace import Tracer

from faasight_collector import malloc, observe
from faasight_collector.access import usage
from faasight_collector.access.address import warn_of_plain_text
from faasight_collector.access.control import Access
from faasight_collector.access.figures import AccessFigures
from faasight_collector.admit import JSON
from faasight_collector.adoption import Adopter
from faasight_collector.dead_letters import FOLDER as LETTERS
from faasight_collector.dead_letters import DeadLetters
from faasight_collector.exposition import Exposition
from faasight_collector.housekeeping import Periodic
from faasight_collector.inputs import aws_telemetry, cloudwatch_logs, firehose, json_logs
from faasight_collector.inserts import Inserts
from faasight_collector.journal import Journal
from faasight_collector.parts import Part
from faasight_collector.receive.answers import TEXT, Answer
from faasight_collector.receive.grpc import GrpcServer
from faasight_collector.receive.http import HttpServer
from faasight_collector.receive.listen import Listener
from faasight_collector.receive.routes import Adapter, Door, Page, Routes, otlp_door
from faasight_collector.settings import Settings
from faasight_collector.ship import Shipper
from faasight_collector.siblings import TELL_EVERY_S, Siblings, State
from faasight_collector.stats import Stats
from faasight_collector.store_memory import StoreMemory

log = structlog.get_logger()

_UNPACKERS = 2  # threads that unpack and check large bodies
_ADOPT = "adopt"
_ENDING_S = 0.25  # of the stop time, for each step that is not shipping

JSON_LOG_TYPES = frozenset({JSON, "application/x-ndjson", "application/jsonl", "text/plain", ""})
JSON_TYPES = frozenset({JSON, ""})
FORWARDED_TYPES = frozenset({JSON, "application/gzip", "application/octet-stream", ""})


class Collector:
    """Receives telemetry, keeps it in a journal and ships it to `store`.

    `start` returns when both doors are open; it raises a CollectorError, or OSError for the journal.
    `stop` takes no more, ships what it can within `settings.stop_timeout_s`, and leaves the rest for the next start.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        *,
        clock: Callable[[], float] = time.time,
        tracer: Tracer | None = None,
    ) -> None:
        self.settings = settings
        self._store = store
        self._clock = clock
        self._tracer = tracer or observe.tracer()
        self._inserts = Inserts(store, self._tracer)
        self._memory = StoreMemory(store)
        worker = f"#{settings.worker}" if settings.worker else ""
        self._name = f"{socket.gethostname()}:{settings.http_port}{worker}"
        self.stats = Stats()
        self._untold: list[IngestStats] = []  # a report that the store has not taken
        self.journal = Journal(settings, count=self.stats.committed, clock=clock)
        self._access: Access | None = None
        self._exposition: Exposition | None = None
        self._siblings = (
            Siblings(settings.home, settings.workers, self._state, clock) if settings.worker and settings.home else None
        )
        self._listener: Listener | None = None
        self._shipper: Shipper | None = None
        self._periodic: list[Periodic] = []
        self._over_budget = False
        self._executor = ThreadPoolExecutor(_UNPACKERS, thread_name_prefix="faasight-unpack")
        self._one_by_one = ThreadPoolExecutor(1, thread_name_prefix="faasight-stream")

    # -- life ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Open the journal, both doors, and begin to ship."""
        if self.settings.store_is_shared:  # else the engine is in this process, and most of its memory
            malloc.give_back()
        self._access = Access.of(self.settings, self._clock)
        warn_of_plain_text(self.settings)
        observe.recovering(self._tracer, self.journal)
        try:
            letters = DeadLetters(self.settings.journal_dir / LETTERS, self._clock)
            self._shipper = Shipper(
                self.journal, self._inserts, letters, self.stats, clock=self._clock, tracer=self._tracer
            )
            self._open_doors(letters, self._access)
        except BaseException:
            self._shipper = None
            self.journal.close()
            raise
        self._shipper.start()
        self._periodic = [
            Periodic("report", self.settings.report_every_s, self._report, last=True),
            Periodic("memory", self.settings.report_every_s, self._memory.look),
            Periodic("tokens", self.settings.report_every_s, self._keep_last_use, last=True),
            Periodic(_ADOPT, self.settings.adopt_every_s, Adopter(self.settings, self.journal, letters)),
        ]
        if self.settings.worker <= 1:  # one of several does for the store what is to be done once
            self._periodic += [
                Periodic("settle", self.settings.settle_every_s, self._settle),
                Periodic("lifetime", self.settings.lifetime_every_s, self._enforce_lifetime),
            ]
        if self._siblings:
            self._siblings.tell()
            self._periodic.append(Periodic("tell", TELL_EVERY_S, self._siblings.tell))
        for periodic in self._periodic:
            periodic.start()
        log.info("collector ready", http=self.http_address, grpc=self.grpc_address)

    def stop(self) -> None:
        """Stop in the order of the data's way; safe to call twice."""
        deadline = time.monotonic() + self.settings.stop_timeout_s
        if self._listener is not None:
            self._listener.stop(_ENDING_S * self.settings.stop_timeout_s)
        self.journal.finish()
        idle = self._shipper is None or self._shipper.stop(max(0.1, deadline - time.monotonic() - _ENDING_S))
        for periodic in self._periodic:
            ended = periodic.stop(max(0.1, deadline - time.monotonic()))
            idle = idle and (ended or periodic.name != _ADOPT)
        for executor in (self._executor, self._one_by_one):
            executor.shutdown(wait=False, cancel_futures=True)
        if idle:  # else a segment is still being read, or adopted: the directory stays ours until the process ends
            self.journal.close()

    @property
    def http_address(self) -> str:
        """`host:port` of the HTTP door, once started."""
        return self._listener.http_address if self._listener else ""

    @property
    def grpc_address(self) -> str:
        """`host:port` of the gRPC door, once started; "" if there is none."""
        return self._listener.grpc_address if self._listener else ""

    # -- parts --------------------------------------------------------------------------------------------------------

    def _open_doors(self, letters: DeadLetters, access: Access) -> None:
        intake = observe.intake(self._tracer, self.journal, self.stats, letters)
        pages: dict[bytes, Page] = {}
        routes = Routes(
            self._doors(),
            pages,
            intake,
            self._executor,
            self._one_by_one,
            max_body=self.settings.max_body_bytes,
            access=access,
        )
        http = HttpServer(self.settings, routes, access, clock=self._clock)
        pages.update(self._pages(access, http))
        grpc = GrpcServer(self.settings, intake, access) if self.settings.grpc_port is not None else None
        listener = Listener(self.settings, http, grpc)
        self.journal.deliver = listener.deliver
        listener.start()
        self._listener = listener

    def _doors(self) -> dict[bytes, Door]:
        return {
            b"/v1/traces": otlp_door("traces"),
            b"/v1/logs": otlp_door("logs"),
            b"/v1/metrics": otlp_door("metrics"),
            b"/v1/json-logs": Door("records", self._timed(json_logs.to_parts), JSON_LOG_TYPES),
            b"/v1/aws/telemetry": Door("records", self._timed(aws_telemetry.to_parts), JSON_TYPES),
            b"/v1/aws/logs": Door("records", self._timed(cloudwatch_logs.to_parts), FORWARDED_TYPES, one_by_one=True),
            b"/v1/aws/firehose": Door(
                "records",
                self._timed(firehose.to_parts),
                JSON_TYPES,
                replies=firehose.FirehoseReplies(self._clock),
                max_body=max(firehose.MAX_BODY, self.settings.max_body_bytes),
                one_by_one=True,
            ),
        }

    def _timed(self, adapter: Callable[..., Iterator[Part]]) -> Adapter:
        """Give an adapter the time of receipt, for lines that have none of their own."""
        return lambda body, headers: adapter(body, headers, int(self._clock() * 1e9))

    def _pages(self, access: Access, http: HttpServer) -> dict[bytes, Page]:
        figures = AccessFigures(access, lambda: http.connections, http.ended)
        further = [figures, self._inserts, self._memory]
        self._exposition = Exposition(
            self.stats, self.journal, self._clock, further, budget_bytes=self.settings.journal_budget_bytes
        )
        return {
            b"/healthz": lambda: Answer(200, TEXT, b"ok\n"),
            b"/readyz": self._readiness,
            b"/metrics": self._metrics,
        }

    def _metrics(self) -> Answer:
        text = self._siblings.metrics() if self._siblings else self._own_metrics()
        return Answer(200, "text/plain; version=1.0.0; charset=utf-8", text)

    def _own_metrics(self) -> bytes:
        return self._exposition.text() if self._exposition else b""

    def _readiness(self) -> Answer:
        """Ready means: a request would be accepted now. The store may be away for as long as the journal has room."""
        state = self._state()
        body: dict[str, object] = {"ready": state.ready, "reason": state.reason, "store": state.store}
        if self._siblings:
            body |= {"worker": state.worker, "workers": self._siblings.readiness()}
        return Answer(200 if state.ready else 503, JSON, orjson.dumps(body))

    def _state(self) -> State:
        refusal = self.journal.refusal()
        return State(
            worker=self.settings.worker,
            at=self._clock(),
            ready=refusal is None,
            reason="" if refusal is None else str(refusal),
            store=(self._shipper.error if self._shipper else "") or "ok",
            metrics=self._own_metrics().decode() if self._siblings else "",
        )

    def _report(self) -> None:
        """Tell the store what was counted; a report that failed is told again as it was, and stored once."""
        if self._untold:
            ingest.report(self._store, self._untold)
        self._untold = self.stats.rows(self._name, self._clock(), self.journal)
        if self._untold:
            ingest.report(self._store, self._untold)
        self._untold = []

    def _keep_last_use(self) -> None:
        """Write down when tokens were last used, for `faasight tokens list`."""
        if self._access is not None and self._access.guard is not None:
            usage.save(self.settings.journal_dir, self._access.guard.grants())

    def _enforce_lifetime(self) -> None:
        """Drop what is over; say once when the budget is too small for a single day."""
        now, wanted = datetime.fromtimestamp(self._clock(), UTC), self.settings.lifetime
        for gone in lifetime.enforce(self._store, wanted, now):
            log.info(
                "telemetry dropped",
                reason=gone.reason,
                table=gone.table,
                partition=gone.partition,
                rows=gone.rows,
                bytes=gone.bytes,
            )
        over = bool(wanted.budget_bytes) and lifetime.used_bytes(self._store) > wanted.budget_bytes
        if over and not self._over_budget:
            log.warning(
                "the store is over its budget, and only days that are not over are left", budget=wanted.budget_bytes
            )
        self._over_budget = over

    def _settle(self) -> None:
        rollup.settle(self._store, now_ns=lambda: int(self._clock() * 1e9))
