"""What one process keeps between invocations: settings, delivery, watchdog, and the story of its start."""

from __future__ import annotations

import os
import sys
from _thread import allocate_lock

import faasight
from faasight import calls, encode, mask, memory, resource
from faasight.coldstart import ColdStart
from faasight.complain import complaints
from faasight.context import current
from faasight.delivery import Exporter
from faasight.imports import ImportWatcher
from faasight.settings import Settings
from faasight.watchdog import Watchdog
from faasight.witness import Witness

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from faasight.capture import Capture
    from faasight.delivery import Buffer, Delivery
    from faasight.holding import Holding
    from faasight.invocation import Invocation
    from faasight.log_records import Records
    from faasight.metrics import Metrics
    from faasight.printed import Print


_SOON_S = 0.1  # instead of FAASIGHT_START_AFTER, if that is longer


class Agent:
    """The wrapper's parts, made once a process."""

    def __init__(self, settings: Settings) -> None:
        complaints.strict = settings.strict
        mask.configure(settings.mask == "on", settings.mask_keys)
        self.settings = settings
        self.service = resource.service_name(settings)
        self.account = ""
        self.spent = 0  # ns that the report of the last invocation took us
        self.ids: list[str] = []  # random ones for the next invocation, drawn when nobody waits
        self.watcher = ImportWatcher(int(settings.import_threshold_ms * 1e6))
        self.coldstart = ColdStart(self.watcher)
        self.delivery: Delivery = self._exporter()
        self.start_after = settings.start_after
        self.crowded = 0.8 * (resource.memory_limit() or float("inf"))  # bytes in use from which a kill is likely
        self.watchdog = Watchdog(self._look)
        self.witness = Witness(self.service)
        self.capture: Capture | None = None  # of payloads, where it is asked for
        if settings.capture:
            from faasight.capture import Capture

            self.capture = Capture(settings.capture, settings.capture_bytes)
        self.holding: Holding | None = None  # of telemetry, where it is asked for
        self.hurried = False  # a kill is likely
        self._metrics: Metrics | None = None
        self._records: Records | None = None
        self.printed: Print | None = None  # stands for `print`, where it is asked for
        self.due: list[Invocation] | None = None  # sent when their answer is out; None: nobody will
        self.when_loaded: list[Callable[[], None]] = []  # what waits for the end of the function's own set-up
        self.host: ModuleType | None = calls.host()  # who calls the function, where that is not AWS
        self._resources: dict[str, bytes] = {}  # of each function, encoded; "" for the process
        self._buffers: dict[str, Buffer] = {}  # of each function, where there are several

    def _exporter(self) -> Delivery:
        if self.settings.exporter == "otlp":
            try:
                from faasight.otlp import OfficialExporter
            except ImportError as error:
                complaints.say(f"FAASIGHT_EXPORTER=otlp needs `pip install faasight[otlp]`: {error}; using builtin")
            else:
                return OfficialExporter(self)
        return Exporter(self.settings, self.resource, faasight.__version__)

    def start(self) -> None:
        """Watch imports, and be ready for forks."""
        if self.settings.disabled:
            return
        from faasight import hooks

        self.watcher.install()
        hooks.register(self)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.after_fork)
        import atexit

        atexit.register(self._leave)
        if self.settings.send_logs:
            self._send_logs()
        if self.settings.print == "json":
            self._take_prints()
        if self.coldstart.init_type == "snap-start":
            from faasight import snapshot

            snapshot.register(self)
            self.when_loaded.append(lambda: snapshot.register_end(self))
        self._send_after_answers()
        self.report_killed()
        if self.settings.flush_every:
            self._hold()

    def _hold(self) -> None:
        try:
            from faasight.holding import Holding

            self.holding = Holding(self)
        except Exception as error:  # noqa: BLE001 - each invocation is sent at once
            complaints.failure("holding telemetry", error)

    def _send_after_answers(self) -> None:
        if "awslambdaric.lambda_runtime_client" not in sys.modules:
            return
        try:
            from faasight import afterwards

            afterwards.install(self)
        except Exception as error:  # noqa: BLE001 - telemetry is sent before the answer then
            complaints.failure("sending after answers", error)

    def _send_logs(self) -> None:
        if self.settings.exporter == "otlp":
            complaints.say("FAASIGHT_SEND_LOGS=1 needs FAASIGHT_EXPORTER=builtin: log lines go to stdout alone")
            return
        try:
            from faasight import log_records

            self._records = log_records.install(self)
            self.delivery.lines = self._records.drain
        except Exception as error:  # noqa: BLE001 - the lines are on stdout
            complaints.failure("sending logs", error)

    def _take_prints(self) -> None:
        try:
            from faasight import printed

            self.printed = printed.install()
        except Exception as error:  # noqa: BLE001 - what is printed stays as it is
            complaints.failure("printed lines", error)

    def report_killed(self) -> None:
        """Report what a killed process left unfinished in this sandbox, at once: we may be killed just so."""
        try:
            killed = self.witness.open(self.coldstart.began)
            if killed:
                self.hurry()  # what was killed here comes again as a rule
            for span in killed:
                self.delivery.add(span)
            if killed:
                self.delivery.flush(self.settings.flush_timeout)
            self.witness.settle()
        except Exception as error:  # noqa: BLE001 - the function starts whatever was found
            complaints.failure("reporting a killed invocation", error)

    def hurry(self) -> None:
        """Tell of what runs sooner from now on: here a kill is likely, and may come within the first second."""
        self.hurried = True
        self.start_after = min(self.start_after, _SOON_S)

    def after_fork(self) -> None:
        """Make anew what a child process must not share: the socket, the thread, the parent's telemetry."""
        span = current.get()
        if span is not None and span.invocation is not None:
            span.invocation.claim()  # the parent reports the invocation that forked
        self.ids.clear()
        self.delivery.reset()
        self.watchdog.reset()
        self.witness.reset()
        if self.holding is not None:
            self.holding.reset()
            self.holding.leave_signals()
        if self._records is not None:
            self._records.reset()
        if self.printed is not None:
            self.printed.reset()
        self.forget_numbers()

    def _look(self, invocation: Invocation) -> float:
        from faasight.overdue import look

        if self.printed is not None:
            self.printed.end(invocation)  # it may be what tells why it hangs
        return look(self, invocation)

    def function_loaded(self) -> None:
        """Do what waited for the function's own set-up."""
        if memory.high_water_mark() > self.crowded:
            self.hurry()
        while self.when_loaded:
            try:
                self.when_loaded.pop()()
            except Exception as error:  # noqa: BLE001 - the function runs without what could not join
                complaints.failure("joining", error)

    def _leave(self) -> None:
        if self.printed is not None:
            self.printed.end()
        if self.holding is not None:
            self.holding.leave()
        if isinstance(self.delivery, Exporter):
            try:
                self.delivery.linger(self.settings.flush_timeout)
            except Exception as error:  # noqa: BLE001 - the process ends as it does without us
                complaints.failure("waiting for the last answers", error)

    def forget_numbers(self) -> None:
        """Drop what was counted so far: the process that counted it has sent it."""
        if self._metrics is not None:
            self._metrics.reset()

    def know_account(self, arn: object) -> None:
        """Learn the account from the first invocation's function ARN."""
        if not self.account:
            self.account = resource.account_of(arn)

    def metrics_of_process(self) -> Metrics:
        """Return the user's metrics; made with the first one."""
        if self._metrics is None:
            with _lock:
                if self._metrics is None:
                    from faasight.metrics import Metrics

                    self._metrics = Metrics()
                    self.delivery.points = self._metrics.drain
        return self._metrics

    def delivery_of(self, function: str) -> Buffer:
        """Return where the spans of one function go; "" where the process has but one."""
        if not function:
            return self.delivery
        found = self._buffers.get(function)
        if found is None:
            with _lock:
                if function not in self._buffers:
                    self._buffers[function] = self.delivery.share(lambda: self.resource(function))
            found = self._buffers[function]
        return found

    def resource(self, function: str = "") -> bytes:
        """Return the encoded resource; remembered once all of it is known."""
        found = self._resources.get(function)
        if found is not None:
            return found
        content = encode.resource(self.resource_attributes(function))
        if self.account or self.host is not None:
            self._resources[function] = content
        return content

    def resource_attributes(self, function: str = "") -> dict[str, object]:
        """Return the resource attributes of wire.md."""
        return resource.attributes(self.settings, faasight.__version__, self.account, function=function)


_agent: Agent | None = None
_lock = allocate_lock()


def get() -> Agent:
    """Return the process's agent; it starts with the first call."""
    global _agent
    if _agent is None:
        with _lock:
            if _agent is None:
                agent = Agent(Settings())
                agent.start()
                _agent = agent
    return _agent


def replace(agent: Agent | None) -> None:
    """Put another agent in place: for tests."""
    global _agent
    _agent = agent
