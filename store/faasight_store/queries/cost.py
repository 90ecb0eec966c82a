"""What invocations cost: by what, in which flow, until the month's end, and what less memory would save."""

import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from faasight_store import buckets, prices
from faasight_store.connection import Store
from faasight_store.cost_types import CostRow, FlowCost, Forecast, RightSize, TraceCost
from faasight_store.errors import QueryError
from faasight_store.queries.settled import invocations, sources
from faasight_store.queries.usage import used
from faasight_store.times import MINUTE, from_ns, to_ns, within
from faasight_store.types import Scope

# What cost may be asked by, and the column that says it.
BY: Mapping[str, str] = {
    "function": "function",
    "version": "concat(function, ':', function_version)",
    "trigger": "if(trigger = '', 'unknown', trigger)",
    "source": "if(source = '', 'unknown', source)",
    "architecture": "if(architecture = 'arm64', 'arm64', 'x86_64')",
    "environment": "environment",
    "provider": "if(provider = '', 'aws', provider)",
}
FORECAST_DAYS = 7
HEADROOM = 1.2  # above the 99th percentile: memory that is too short ends an invocation
_LEAST_MB, _STEP_MB, _MOST_MB = 128, 64, 10240  # AWS Lambda's sizes; it takes single MB, people take rounder ones
_TIGHT = 0.9
_ENOUGH = 100  # invocations; fewer say little of a 99th percentile


def cost(store: Store, scope: Scope, by: str = "function", *, function: str = "", limit: int = 50) -> list[CostRow]:
    """Return cost by one of BY, the dearest first. Raises QueryError for another `by`."""
    if by not in BY:
        raise QueryError(f"cost cannot be told by {by!r}; choose one of {', '.join(BY)}")
    source = used(store, scope, function)
    rows = store.query(
        f"""SELECT {BY[by]} AS key, sum(spent.invocations), sum(spent.gb_seconds), sum(spent.cost_usd) AS usd,
            sum(usd) OVER () AS whole
        FROM {source.text} AS spent GROUP BY key ORDER BY usd DESC, key LIMIT {{limit:UInt32}}""",
        {**source.parameters, "limit": limit},
    )
    return [CostRow(key, n, seconds, usd, usd / whole if whole else 0.0) for key, n, seconds, usd, whole in rows]


_TRACES = f"""SELECT if(begun.linked_trace_id = toFixedString('', 16), ran.trace_id, begun.linked_trace_id) AS entry,
        sum(ran.invocations) AS invocations, sum(ran.usd) AS usd
    FROM (SELECT trace_id, count() AS invocations, sum(cost_usd) AS usd FROM SOURCE
          WHERE NOT never_ran AND trace_id != toFixedString('', 16) GROUP BY trace_id) AS ran
    LEFT JOIN (SELECT trace_id, argMin(link.linked_trace_id, ts) AS linked_trace_id FROM span_links AS link
               WHERE forward AND {within("ts", "from_ns", "to_ns")}
                 AND link.linked_trace_id IN
                     (SELECT trace_id FROM trace_index WHERE {within("slot", "from_ns", "to_ns")})
               GROUP BY trace_id) AS begun
    ON ran.trace_id = begun.trace_id
    GROUP BY entry"""
_ROOTS = f"""SELECT trace_id, min(root).3 AS service, min(root).4 AS name FROM trace_index
    WHERE {within("slot", "from_ns", "to_ns")} GROUP BY trace_id"""


def flows(store: Store, scope: Scope, limit: int = 50) -> list[FlowCost]:
    """Return what each business flow cost, the dearest first: traces by how they begin.

    What consumes a queue is a trace of its own, linked to the one that sent: it counts there, one link back, if that is
    not older than 20 minutes before the scope, else as a flow of its own. Read from settled minutes for the last two
    hours, before them from the facts: for ranges of hours, not of weeks.
    """
    text, parameters = _by_trace(store, scope)
    rows = store.query(
        f"""SELECT root.service AS service, root.name AS name, count(), sum(spent.invocations), sum(spent.usd) AS total
        FROM ({text}) AS spent INNER JOIN ({_ROOTS}) AS root ON spent.entry = root.trace_id
        GROUP BY service, name ORDER BY total DESC, service, name LIMIT {{limit:UInt32}}""",
        {**parameters, "limit": limit},
    )
    return [FlowCost(service, name, traces, n, usd) for service, name, traces, n, usd in rows]


def traces(store: Store, scope: Scope, limit: int = 50) -> list[TraceCost]:
    """Return the dearest traces, with what they caused one link away."""
    text, parameters = _by_trace(store, scope)
    rows = store.query(
        f"""SELECT lower(hex(spent.entry)) AS id, root.service, root.name, spent.invocations, spent.usd
        FROM ({text}) AS spent INNER JOIN ({_ROOTS}) AS root ON spent.entry = root.trace_id
        ORDER BY spent.usd DESC, id LIMIT {{limit:UInt32}}""",
        {**parameters, "limit": limit},
    )
    return [TraceCost(trace_id, service, name, n, usd) for trace_id, service, name, n, usd in rows]


def _by_trace(store: Store, scope: Scope) -> tuple[str, dict[str, object]]:
    start, end = to_ns(scope.start), to_ns(scope.end)
    chosen = sources(store, [(start, end)], time.time_ns())
    source = invocations(chosen, columns=("trace_id", "cost_usd", "never_ran"), environment=scope.environment)
    # A flow may have begun before the scope: the longest invocation, and a slot of the index.
    around = {"from_ns": start - 20 * MINUTE, "to_ns": end + 20 * MINUTE}
    return _TRACES.replace("SOURCE", source.text), {**source.parameters, **around}


def forecast(store: Store, now: datetime, *, function: str = "", environment: str = "") -> Forecast:
    """Return what the month of `now` (UTC) comes to if the last seven days, or as many as there are, go on."""
    moment = now.astimezone(UTC)
    month = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    next_month = (month + timedelta(days=32)).replace(day=1)
    since = min(month, moment - timedelta(days=FORECAST_DAYS))
    source = used(store, Scope(since, moment, environment), function)
    rows = store.query(
        f"""SELECT toUnixTimestamp(toDateTime(toStartOfHour(spent.hour), 'UTC')) * 1000000000 AS at, sum(spent.cost_usd)
        FROM {source.text} AS spent GROUP BY at ORDER BY at""",
        source.parameters,
    )
    hours = [(from_ns(at), usd) for at, usd in rows]
    so_far = sum(usd for at, usd in hours if at >= month)
    days = [0.0] * ((moment - month).days + 1)
    for at, usd in hours:
        if at >= month:
            days[(at - month).days] += usd
    begun = max(moment - timedelta(days=FORECAST_DAYS), hours[0][0]) if hours else moment
    span = (moment - begun) / timedelta(days=1)
    per_day = sum(usd for at, usd in hours if at >= begun) / span if span > 0 else 0.0
    left = (next_month - moment) / timedelta(days=1)
    return Forecast(month.date(), so_far, so_far + per_day * left, per_day, span, days)


def right_sizes(store: Store, scope: Scope, limit: int = 50) -> list[RightSize]:
    """Return functions whose memory does not fit what they use, the largest saving first, then those that need more.

    The saving supposes that runs take as long as now. On AWS CPU follows memory: what computes gets slower, what waits
    does not; so try it on one version before all.
    """
    source = used(store, scope)
    rows = store.query(
        f"""SELECT function, memory_mb, architecture, init_type, max(spent.hour) AS latest,
            sum(spent.invocations) AS ran,
            sum(spent.gb_seconds), sum(spent.cost_usd), quantileExactWeighted(0.99)(memory_bucket, spent.invocations)
        FROM {source.text} AS spent
        WHERE provider IN ('aws', '') AND memory_mb > 0 AND memory_bucket > {buckets.NONE}
        GROUP BY function, memory_mb, architecture, init_type HAVING ran >= {{enough:UInt32}}
        ORDER BY latest DESC, ran DESC LIMIT 1 BY function""",
        {**source.parameters, "enough": _ENOUGH},
    )
    sizes = [_right_size(*row[:4], *row[5:]) for row in rows]
    wrong = [size for size in sizes if size.recommended_mb != size.memory_mb]
    return sorted(wrong, key=lambda size: (-size.saving_usd, size.function))[:limit]


def _right_size(
    function: str, given: int, architecture: str, init_type: str, ran: int, gb_seconds: float, usd: float, bucket: int
) -> RightSize:
    p99 = min(buckets.middle_ms(bucket), float(given))
    tight = p99 > _TIGHT * given
    wanted = min(max(math.ceil(p99 * HEADROOM / _STEP_MB) * _STEP_MB, _LEAST_MB), _MOST_MB)
    recommended = wanted if tight or wanted < given else given
    saving = gb_seconds * (1 - recommended / given) * prices.gb_second(architecture, init_type)
    if init_type == prices.MANAGED:
        saving = 0.0  # paid by the instance
    return RightSize(function, given, p99, recommended, ran, usd, saving, tight)
