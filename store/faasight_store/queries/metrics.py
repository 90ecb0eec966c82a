"""Metrics: what there is, which labels it has, and its figures over time."""

from collections.abc import Mapping, Sequence
from typing import Any

from faasight_store.connection import Store
from faasight_store.errors import QueryError
from faasight_store.metric_types import Exemplar, MetricData, MetricInfo, MetricLabel, MetricLine, MetricSeries
from faasight_store.queries import metric_figures
from faasight_store.queries.merged import Sql
from faasight_store.queries.metric_figures import Shape
from faasight_store.queries.windows import step_ns
from faasight_store.times import day, from_ns, to_ns, within
from faasight_store.types import Scope
from faasight_store.values import key_values

SOME_VALUES = 20
_DAYS = "day >= toDate({first_day:String}) AND day <= toDate({last_day:String})"
_METRIC = "({metric:String} = '' OR metric = {metric:String})"
_ENVIRONMENT = "({environment:String} = '' OR environment = {environment:String})"
_TEMPORALITY = {1: "delta", 2: "cumulative"}
# A source's columns do not change: any of its rows will do.
_SOURCES = f"""SELECT metric, source, anyLast(kind) AS kind, anyLast(unit) AS unit, anyLast(description) AS description,
        anyLast(temporality) AS temporality, anyLast(monotonic) AS monotonic, anyLast(environment) AS environment,
        anyLast(function) AS function, anyLast(resource) AS resource
    FROM metric_sources WHERE {_DAYS} AND {_METRIC} GROUP BY metric, source"""
_SERIES = f"""SELECT metric, series, anyLast(source) AS source, anyLast(attributes) AS attributes, min(first) AS first,
        max(last) AS last, sum(points) AS points
    FROM metric_series WHERE {_DAYS} AND {_METRIC} GROUP BY metric, series"""
_KNOWN = f"""({_SERIES}) AS known
    INNER JOIN ({_SOURCES}) AS about ON known.metric = about.metric AND known.source = about.source"""


def metrics(store: Store, scope: Scope, search: str = "", limit: int = 500) -> list[MetricInfo]:
    """Return the metrics of the scope's days whose name or description contains `search`, by name."""
    rows = store.query(
        f"""SELECT known.metric AS name, toString(kind), unit, anyLast(description) AS told, temporality, monotonic,
            arraySort(groupUniqArray(toString(function))), count(), sum(points),
            toUnixTimestamp64Nano(min(first)), toUnixTimestamp64Nano(max(last))
        FROM {_KNOWN} WHERE {_ENVIRONMENT}
        GROUP BY name, kind, unit, temporality, monotonic
        HAVING {{search:String}} = '' OR positionCaseInsensitiveUTF8(name, {{search:String}}) > 0
            OR positionCaseInsensitiveUTF8(told, {{search:String}}) > 0
        ORDER BY name, kind, unit LIMIT {{limit:UInt32}}""",
        {**_days(scope), "metric": "", "search": search, "limit": limit},
    )
    return [
        MetricInfo(
            metric=row[0], kind=row[1], unit=row[2], description=row[3], temporality=_TEMPORALITY.get(row[4], ""),
            monotonic=bool(row[5]), functions=row[6], series=row[7], points=row[8], first_seen=from_ns(row[9]),
            last_seen=from_ns(row[10]),
        )
        for row in rows
    ]  # fmt: skip


def labels(store: Store, scope: Scope, metric: str) -> list[MetricLabel]:
    """Return the labels that the metric's series can be told apart by, most varied first."""
    rows: Sequence[tuple[Any, ...]] = store.query(
        f"""SELECT key, uniqExact(value) AS values, arraySlice(arraySort(groupUniqArray(value)), 1, {{some:UInt32}})
        FROM (SELECT arrayJoin(arrayConcat(
                CAST(mapUpdate(resource, attributes), 'Array(Tuple(String, String))'),
                [('function', toString(function)), ('environment', toString(environment))])) AS label,
              label.1 AS key, label.2 AS value
            FROM {_KNOWN} WHERE {_ENVIRONMENT})
        GROUP BY key ORDER BY values DESC, key""",
        {**_days(scope), "metric": metric, "some": SOME_VALUES},
    )
    return [MetricLabel(key, count, some) for key, count, some in rows]


def series(store: Store, scope: Scope, metric: str, limit: int = 100) -> list[MetricSeries]:
    """Return the metric's series, those with the newest points first."""
    rows = store.query(
        f"""SELECT known.series, function, environment, attributes, resource, points, toUnixTimestamp64Nano(first),
            toUnixTimestamp64Nano(last)
        FROM {_KNOWN} WHERE {_ENVIRONMENT} ORDER BY last DESC, known.series LIMIT {{limit:UInt32}}""",
        {**_days(scope), "metric": metric, "limit": limit},
    )
    return [
        MetricSeries(number, function, environment, attributes, resource, points, from_ns(first), from_ns(last))
        for number, function, environment, attributes, resource, points, first, last in rows
    ]


def query(
    store: Store,
    scope: Scope,
    metric: str,
    aggregation: str = "",
    *,
    group_by: Sequence[str] = (),
    where: Mapping[str, str] | None = None,
    buckets: int = 120,
    limit: int = 20,
) -> MetricData:
    """Return a metric over equal buckets, a line for each group of labels.

    `aggregation` is one of `metric_figures.AGGREGATIONS` of the metric's kind, "" the first of them; `group_by` and
    `where` name labels, as `labels` returns them. Raises QueryError for an aggregation that the kind does not know.
    Where senders disagree on what a metric is, the form that most series have is meant.
    """
    start, step = to_ns(scope.start), step_ns(scope, buckets)
    t = [from_ns(start + i * step) for i in range(buckets)]
    shape = _shape(store, scope, metric)
    if shape is None:
        return MetricData(metric, "", "", aggregation, t, step / 1e9, (), truncated=False)
    known = metric_figures.AGGREGATIONS[shape.family]
    chosen = aggregation or known[0]
    if chosen not in known:
        raise QueryError(f"{metric} is a {shape.kind}: {aggregation!r} is none of its figures ({', '.join(known)})")
    groups = metric_figures.groups(store, scope, shape, _labelled(scope, shape, group_by, where or {}), step)
    lines = [
        MetricLine(dict(zip(group_by, labels, strict=True)), metric_figures.values(shape, cells, chosen, buckets, step))
        for labels, cells in groups.items()
    ]
    lines.sort(key=lambda line: (-sum(abs(v) for v in line.values if v is not None), tuple(line.labels.values())))
    unit = metric_figures.unit(shape, chosen)
    return MetricData(metric, shape.kind, unit, chosen, t, step / 1e9, lines[:limit], truncated=len(lines) > limit)


def exemplars(store: Store, scope: Scope, metric: str, limit: int = 50) -> list[Exemplar]:
    """Return measurements of the metric that carry a trace, newest first."""
    rows = store.query(
        f"""SELECT toInt64(exemplar.ns), exemplar.value, lower(hex(exemplar.trace_id)), lower(hex(exemplar.span_id)),
            arrayMap(pair -> base64Encode(pair), exemplar.attributes)
        FROM metric_points ARRAY JOIN exemplars AS exemplar
        WHERE metric = {{metric:String}} AND {within("ts", "start", "end")} AND exemplar.trace_id != ''
          AND series IN (SELECT known.series FROM {_KNOWN} WHERE {_ENVIRONMENT})
        ORDER BY exemplar.ns DESC LIMIT {{limit:UInt32}}""",
        {**_days(scope), "metric": metric, "start": to_ns(scope.start), "end": to_ns(scope.end), "limit": limit},
    )
    return [
        Exemplar(from_ns(ns), value, trace_id, span_id, key_values(attributes))
        for ns, value, trace_id, span_id, attributes in rows
    ]


def _shape(store: Store, scope: Scope, metric: str) -> Shape | None:
    rows = store.query(
        f"""SELECT toString(kind), temporality, monotonic, anyLast(unit) FROM {_KNOWN} WHERE {_ENVIRONMENT}
        GROUP BY kind, temporality, monotonic ORDER BY count() DESC, sum(points) DESC LIMIT 1""",
        {**_days(scope), "metric": metric},
    )
    return Shape(metric, rows[0][0], rows[0][1], bool(rows[0][2]), rows[0][3]) if rows else None


def _labelled(scope: Scope, shape: Shape, group_by: Sequence[str], where: Mapping[str, str]) -> Sql:
    """Return a select of the series that are asked for, with the labels that they are grouped by."""
    label = (
        "multiIf({key} = 'function', toString(function), {key} = 'environment', toString(environment),"
        " mapContains(attributes, {key}), attributes[{key}], resource[{key}])"
    )
    conditions = [_ENVIRONMENT, "toString(kind) = {kind:String}", "temporality = {temporality:UInt8}"]
    parameters: dict[str, Any] = {
        **_days(scope), "metric": shape.metric, "kind": shape.kind, "temporality": shape.temporality,
        "monotonic": shape.monotonic, "keys": list(group_by),
    }  # fmt: skip
    conditions.append("monotonic = {monotonic:Bool}")
    for i, (key, value) in enumerate(where.items()):
        parameters |= {f"where_key_{i}": key, f"where_value_{i}": value}
        conditions.append(f"{label.format(key=f'{{where_key_{i}:String}}')} = {{where_value_{i}:String}}")
    keys = f"arrayMap(key -> {label.format(key='key')}, {{keys:Array(String)}})"
    return Sql(
        f"SELECT known.series AS series, {keys} AS labels FROM {_KNOWN} WHERE {' AND '.join(conditions)}", parameters
    )


def _days(scope: Scope) -> dict[str, Any]:
    """Return the days that the scope touches, and the one before, whose series go on."""
    first = from_ns(to_ns(scope.start) - metric_figures.LOOK_BACK_NS)
    return {"first_day": day(first), "last_day": day(scope.end), "environment": scope.environment}
