"""What several workers that share a port tell of each other: whoever is asked answers for all.

Each writes its state into a small file every second; the one that Prometheus or a load balancer happens to reach reads
the others' files. Ports of their own would have to be found and opened by the asker; shared counters would make every
count a write into shared memory.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector as MetricSource

TELL_EVERY_S = 1.0
_STALE_S = 10.0  # a worker that has not told for so long is not running


@dataclass(frozen=True, slots=True)
class State:
    """One worker at one time."""

    worker: int
    at: float  # Unix seconds
    ready: bool
    reason: str  # why not
    store: str  # what the store said last
    metrics: str  # Prometheus text


class Siblings:
    """The state files of all workers, under `home`; `own` makes this worker's state."""

    def __init__(self, home: Path, workers: int, own: Callable[[], State], clock: Callable[[], float]) -> None:
        self._folder = home / "state"
        self._workers = workers
        self._own = own
        self._clock = clock

    def tell(self) -> None:
        """Write this worker's state. Raises OSError."""
        state = self._own()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / f"{state.worker}.json"
        part = path.with_suffix(".part")
        part.write_bytes(orjson.dumps(asdict(state)))
        part.replace(path)

    def states(self) -> dict[int, State | None]:
        """Return every worker's state, this one's as it is now; None for one that does not tell."""
        own = self._own()
        return {n: own if n == own.worker else self._told(n) for n in range(1, self._workers + 1)}

    def _told(self, worker: int) -> State | None:
        try:
            state = State(**json.loads((self._folder / f"{worker}.json").read_bytes()))
        except (OSError, ValueError, TypeError):
            return None
        return state if abs(self._clock() - state.at) < _STALE_S else None

    def metrics(self) -> bytes:
        """Return the metrics of all workers as Prometheus text, each with the label `worker`."""
        registry = CollectorRegistry()
        registry.register(_Merged(self.states()))
        return generate_latest(registry)

    def readiness(self) -> dict[str, dict[str, str | bool]]:
        """Return what each worker says, by its number."""
        return {
            str(n): {"ready": False, "reason": "not running"}
            if state is None
            else {"ready": state.ready, "reason": state.reason, "store": state.store}
            for n, state in self.states().items()
        }


class _Merged(MetricSource):
    def __init__(self, states: dict[int, State | None]) -> None:
        self._states = states

    def collect(self) -> Iterable[Metric]:
        merged: dict[str, Metric] = {}
        running = GaugeMetricFamily("faasight_collector_worker_up", "Whether a worker runs", labels=["worker"])
        for worker, state in self._states.items():
            running.add_metric([str(worker)], state is not None)
            for family in text_string_to_metric_families(state.metrics) if state else ():
                into = merged.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                into.samples += [
                    sample._replace(labels={**sample.labels, "worker": str(worker)}) for sample in family.samples
                ]
        return [*merged.values(), running]
