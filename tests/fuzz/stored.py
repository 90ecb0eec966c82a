"""Whether all that was accepted is in the store: each row counted, or its payload refused with a reason."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from faasight_collector.parts import Part
from faasight_collector.rows import Rows
from faasight_collector.segments import Record
from faasight_store import BadDataError, Store

from tests.fuzz.doors import MESSAGES

_TABLES = {"spans": ("spans", "signal = 'traces'"), "logs": ("logs", None), "points": ("metric_points", None)}


@dataclass
class Check:
    """Lands accepted payloads and compares the counts of rows."""

    store: Store
    refused: list[tuple[str, bytes, str]] = field(default_factory=list)  # signal, payload, the store's reason
    expected: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_TABLES, 0))
    _landed: int = 0

    def land(self, parts: Sequence[Part]) -> None:
        """Store payloads as the shipper does: all of a signal, in halves when the engine refuses them."""
        for signal in (*MESSAGES, "records"):
            payloads = [part.payload for part in parts if part.signal == signal and not part.reason and part.payload]
            if payloads:
                self._land(signal, payloads)

    def _land(self, signal: str, payloads: list[bytes]) -> None:
        self._landed += 1
        records = [Record(b"", memoryview(payload)) for payload in payloads]
        try:
            self.store.land(signal, Rows(signal, records), f"fuzz-{self._landed}")
        except BadDataError as error:
            if len(payloads) == 1:
                self.refused.append((signal, payloads[0], str(error)))
                return  # a dead letter, with this reason
            middle = len(payloads) // 2
            self._land(signal, payloads[:middle])
            self._land(signal, payloads[middle:])
            return
        for payload in payloads:
            for name, rows in _rows(signal, payload).items():
                self.expected[name] += rows

    def found(self) -> dict[str, int]:
        """Return the rows that are there."""
        counts = {}
        for name, (table, quarantine) in _TABLES.items():
            counts[name] = self._count(table, "1")
            if quarantine:
                counts[name] += self._count("quarantine", quarantine)
        return counts

    def _count(self, table: str, where: str) -> int:
        ((rows,),) = self.store.query(f"SELECT count() FROM {table} WHERE {where}")
        return int(rows)


def _rows(signal: str, payload: bytes) -> dict[str, int]:
    if signal == "records":
        return {"logs": sum(json.loads(line)["kind"] == "log" for line in payload.splitlines())}
    request = MESSAGES[signal].FromString(payload)
    if signal == "traces":
        return {"spans": sum(len(scope.spans) for group in request.resource_spans for scope in group.scope_spans)}
    if signal == "logs":
        return {"logs": sum(len(scope.log_records) for group in request.resource_logs for scope in group.scope_logs)}
    metrics = [item for group in request.resource_metrics for scope in group.scope_metrics for item in scope.metrics]
    kinds = [(metric, metric.WhichOneof("data")) for metric in metrics]
    return {"points": sum(len(getattr(metric, kind).data_points) for metric, kind in kinds if kind)}
